package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAccessIsReadWhateverTheRestOfTheFileSays: all that it needs are the sections
// admin and state_dir.
func TestAccessIsReadWhateverTheRestOfTheFileSays(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       Access // with paths below the file's directory
	}{
		{"an empty file", "", Access{"127.0.0.1:7000", "/var/lib/lb/admin.token", "", "/var/lib/lb/control.sock"}},
		{"another section is wrong", "listne: 7\npool: []\nadmin: {address: \"10.0.0.2:7001\"}\nstate_dir: state", Access{"10.0.0.2:7001", "DIR/state/admin.token", "", "DIR/state/control.sock"}},
		{"files are missing", "tls: {certificates: [{cert: no.crt, key: no.key}]}\nadmin: {token_file: no.token, tls: {cert: no.crt, key: no.key}}", Access{"127.0.0.1:7000", "DIR/no.token", "DIR/no.crt", "/var/lib/lb/control.sock"}},
		{"keys of a later version", "admin: {address: \"10.0.0.2:7000\", audit: {to: syslog}, confirm_share: much}", Access{"10.0.0.2:7000", "/var/lib/lb/admin.token", "", "/var/lib/lb/control.sock"}},
		{"a section without values", "admin:\nstate_dir: /srv/lb", Access{"127.0.0.1:7000", "/srv/lb/admin.token", "", "/srv/lb/control.sock"}},
	} {
		dir := t.TempDir()
		put(t, dir, "lb.yaml", []byte(row.text))
		got, err := LoadAccess(filepath.Join(dir, "lb.yaml"))
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		for _, path := range []*string{&row.want.TokenFile, &row.want.Cert, &row.want.ControlSocket} {
			*path = strings.Replace(*path, "DIR", dir, 1)
		}
		if diff := cmp.Diff(row.want, *got); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.name, diff)
		}
	}
}

func TestAccessThatCannotBeReadIsAnErrorWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"admin: {address: \"10.0.0.2\"}":                      "lb.yaml:1:18: admin.address: ",
		"listne: 7\nadmin: [a]":                               "lb.yaml:2:8: admin: ",
		"admin: {token_file: [a]}":                            "admin.token_file: ",
		"state_dir: {a: b}":                                   "state_dir: ",
		"admin: {address: \"10.0.0.2:7000\"":                  "lb.yaml:1:",
		"- a":                                                 "a list where keys and values belong",
		"admin: {address: &a \"10.0.0.2:7000\"}":              "anchors",
		"admin: {tls: yes}":                                   "admin.tls: ",
		"admin: {address: \"10.0.0.2:7000\"}\n---\nadmin: {}": "a second document",
	} {
		dir := t.TempDir()
		put(t, dir, "lb.yaml", []byte(text))
		if got, err := LoadAccess(filepath.Join(dir, "lb.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %q", text, got, err, want)
		}
	}
	if _, err := LoadAccess(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("no file: no error")
	}
}
