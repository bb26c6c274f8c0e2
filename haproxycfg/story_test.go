package haproxycfg_test

import (
	"testing"
	"testing/fstest"

	"tokenring/haproxycfg"
	"tokenring/migration"
	"tokenring/migration/claims"
	"tokenring/migration/storytest"
)

const stories = "../testdata/haproxycfg"

// TestStories imports the haproxy.cfg of each story.
func TestStories(t *testing.T) { storytest.Run(t, stories, "haproxy.cfg", 15, importStory) }

func importStory(s *storytest.Story) ([]byte, *migration.Report, error) {
	result, err := haproxycfg.Import("haproxy.cfg", s.Config, haproxycfg.Options{Backend: s.Backend, Files: s.Files})
	if err != nil {
		return nil, nil, err
	}
	for _, p := range result.Passwords {
		text, err := p.Htpasswd()
		if err != nil {
			return nil, nil, err
		}
		s.Files[p.Name] = &fstest.MapFile{Data: text}
	}
	return result.YAML, result.Report, nil
}

// TestEveryNoteHasAClaim: what a note says is held by a test.
func TestEveryNoteHasAClaim(t *testing.T) {
	storytest.Claims(t, stories+"/claims.txt", claims.Source{
		Dir:     ".",
		NoNotes: []string{"fail", "whole", "New", "Errorf", "Fprintf", "MustCompile", "line", "list", "addRoutes", "Sprint"},
		Frames:  []string{"writeListen", "writeHosts", "hostLines", "writeRoutes", "ownTLS", "writePool", "basicAuth", "where", "String", "Error"},
	})
}
