package nginxcfg_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"tokenring/migration"
	"tokenring/nginxcfg"
)

// TestPasswords: lb asks for passwords where nginx does, whatever is in the file of users; the report
// says what lb can't take.
func TestPasswords(t *testing.T) {
	const hashed = "$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6"
	files := fstest.MapFS{
		"etc/nginx/good": {Data: []byte("eva:" + hashed + "\n")},
		"etc/nginx/md5":  {Data: []byte("eva:$apr1$abcdefgh$0123456789012345678901\n")},
	}
	const asks = "basic_auth: {file: \"/etc/nginx/"
	for _, row := range []struct {
		text       string
		verdict    migration.Verdict
		note, yaml string
	}{
		{`auth_basic "Who?"; auth_basic_user_file good;`, migration.Took, "get 401", asks + `good", realm: "Who?"}`},
		{`auth_basic $host; auth_basic_user_file /etc/nginx/good;`, migration.Took, "get 401", asks + `good"}`},
		{`auth_basic Who; auth_basic_user_file md5;`, migration.Decide, "hashed by bcrypt", asks + "md5"},
		{`auth_basic Who; auth_basic_user_file none;`, migration.Decide, "can't be read on this machine", asks + "none"},
		{`auth_basic Who; auth_basic_user_file good; satisfy any; allow 10.0.0.0/8; deny all;`, migration.Stops, "asks all clients", asks + "good"},
		{`auth_basic Who; auth_basic_user_file users/$host;`, migration.Stops, "a variable names it", ""},
		{`auth_basic Who;`, migration.LeftOut, "nginx asks nobody", ""},
		{`auth_basic off; auth_basic_user_file good;`, migration.LeftOut, "nobody is asked", ""},
	} {
		result, err := nginxcfg.Import("nginx.conf", []byte(around(row.text, "", "hash $arg_token consistent;", "")), nginxcfg.Options{Files: files})
		if err != nil {
			t.Fatal(err)
		}
		if !hasNote(result.Report, row.verdict, row.note) {
			t.Errorf("%s: no note %q %q in\n%s", row.text, row.verdict, row.note, result.Report)
		}
		if yaml := string(result.YAML); !strings.Contains(yaml, row.yaml) || strings.Contains(yaml, "basic_auth") != (row.yaml != "") {
			t.Errorf("%s: no %q in\n%s", row.text, row.yaml, yaml)
		}
	}
}
