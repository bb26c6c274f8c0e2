package nginxcfg_test

import (
	"testing"

	"tokenring/migration"
	"tokenring/migration/claims"
	"tokenring/migration/storytest"
	"tokenring/nginxcfg"
)

const stories = "../testdata/nginxcfg"

// TestStories imports the nginx.conf of each story.
func TestStories(t *testing.T) { storytest.Run(t, stories, "nginx.conf", 6, importStory) }

func importStory(s *storytest.Story) ([]byte, *migration.Report, error) {
	result, err := nginxcfg.Import("nginx.conf", s.Config, nginxcfg.Options{Backend: s.Backend, Files: s.Files})
	if err != nil {
		return nil, nil, err
	}
	return result.YAML, result.Report, nil
}

// TestEveryNoteHasAClaim: what a note says is held by a test.
func TestEveryNoteHasAClaim(t *testing.T) {
	storytest.Claims(t, stories+"/claims.txt", claims.Source{
		Dir:     ".",
		NoNotes: []string{"Contains", "ContainsAny", "fail", "Errorf", "Fprintf", "line", "Pattern", "Sprint", "NewReplacer", "New"},
		Frames:  []string{"writeListen", "writeHosts", "writeTLS", "writeRoutes", "writePools", "writeQuotas", "yaml", "redirect", "dump", "String", "text"},
	})
}
