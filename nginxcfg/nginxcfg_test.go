package nginxcfg_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"tokenring/migration"
	"tokenring/nginxcfg"
)

// around is an nginx.conf with room for lines in the location, the server, the upstream and http.
func around(location, server, upstream, http string) string {
	return "http {\n" + http + "\nupstream ide {\n" + upstream + "\nserver 10.0.0.1:80;\n}\nserver {\nlisten 80;\n" + server +
		"\nlocation / {\nproxy_pass http://ide;\n" + location + "\n}\n}\n}\n"
}

// TestLines puts a line into an nginx.conf, and wants a note and a part of lb.yaml.
func TestLines(t *testing.T) {
	const hash = "hash $arg_token consistent;"
	checkLines(t, []lineRow{
		{around("", "", hash, ""), migration.Took, "listen: :80", "  key: [{query: token}]"},
		{around("", "", "hash ${arg_token} consistent;", ""), migration.Changed, "the raw value", "  key: [{query: token}]"},
		{around("", "", "hash $cookie_sid consistent;", ""), migration.Changed, "the raw value", "  key: [{cookie: sid}]"},
		{around("", "", "hash $remote_addr consistent;", ""), migration.Changed, "the raw value", "  key: [source]"},
		{around("", "", "hash $binary_remote_addr consistent;", ""), migration.Moves, "hashes other bytes", "  key: [source]"},
		{around("", "", "hash $arg_a$arg_b consistent;", ""), migration.Moves, "can't have this key", "  key: [source]"},
		{around("", "", "hash $request_uri consistent;", ""), migration.Moves, "can't have this key", "  key: [source]"},
		{around("", "", "hash $arg_token;", ""), migration.Moves, "without the word consistent", "  policy: consistent"},
		{around("", "", "", ""), migration.Moves, "keeps no requests together", "  key: [{query: token}]"},
		{around("", "", "sticky cookie srv;", ""), migration.Moves, "nginx's cookies", "  key: [{query: token}]"},
		{around("", "", hash+"server 10.0.0.2;", ""), migration.Moves, "no host of lb can have", `{name: "10.0.0.2", address: "10.0.0.2:80"`},
		{around("", "", hash+"server [::1]:80;", ""), migration.Moves, "no host of lb can have", `{name: "host-1", address: "[::1]:80"`},
		{around("", "", hash+"server 10.0.0.2:80 backup;", ""), migration.LeftOut, "no backup", `# - {name: "10.0.0.2_80"`},
		{around("proxy_read_timeout 90;", "", hash, ""), migration.Changed, "timeouts.tunnel: 1m30s", "  response: 1m30s"},
		{around("", "", hash, "proxy_read_timeout 1h30m;"), migration.Changed, "timeouts.tunnel: 1h30m", "  tunnel: 1h30m"},
		{around("proxy_read_timeout soon;", "", hash, ""), migration.Decide, "can't read this value", ""},
		{around("", "client_max_body_size 10M;", hash, ""), migration.Changed, "limits.body: 10485760", "  body: 10485760"},
		{around("", "large_client_header_buffers 8 16k;", hash, ""), migration.Took, "limits.head: 131072", "  head: 131072"},
		{around("", "large_client_header_buffers 4 8k;", hash, ""), migration.Changed, "at least 32768 bytes", ""},
		{around("allow 10.0.0.0/8; deny all;", "", hash, ""), migration.Took, "requests from elsewhere get 403", `access: {allow: ["10.0.0.0/8"]}`},
		{around("deny 192.0.2.1; allow all;", "", hash, ""), migration.Took, "requests from elsewhere get 403", `access: {deny: ["192.0.2.1"]}`},
		{around("deny all;", "", hash, ""), migration.Took, "requests from elsewhere get 403", `access: {deny: ["0.0.0.0/0", "::/0"]}`},
		{around("allow 10.0.0.1; deny 10.0.0.0/8; allow all;", "", hash, ""), migration.Stops, "keeps nobody out", ""},
		{around("proxy_set_header X-DN $ssl_client_s_dn;", "", hash, ""), migration.Took, "fields: X-DN", `X-DN: "{client_certificate_subject}"`},
		{around("proxy_set_header X-DN $ssl_client_s_dn_legacy;", "", hash, ""), migration.Stops, "can't make this change", ""},
		{around("proxy_set_header X-Edge $hostname;", "", hash, ""), migration.Stops, "can't make this change", ""},
		{around("proxy_set_header X-Day $time_local;", "", hash, ""), migration.Stops, "can't make this change", ""},
		{around("proxy_set_header Content-Length 5;", "", hash, ""), migration.Stops, "can't make this change", ""},
		{around("proxy_set_header Host ide.internal;", "", hash, ""), migration.Stops, "not this value", ""},
		{around(`proxy_set_header X-Who "${remote_addr}:$remote_port";`, "", hash, ""), migration.Took, "fields: X-Who", `X-Who: "{client}:{client_port}"`},
		{around("", "ssl_protocols TLSv1.3;", hash, ""), migration.LeftOut, "no location with hosts", ""},
		{around("", "listen unix:/run/x;", hash, ""), migration.Stops, "TCP addresses only", ""},
		{around("", "listen 443 quic;", hash, ""), migration.LeftOut, "HTTP/3", ""},
		{around("", "location @x { return 200; }", hash, ""), migration.LeftOut, "no client does", ""},
		{around("", "location /%41 { return 200; }", hash, ""), migration.Stops, "no regular expressions", ""},
		{around("", "location /old { return 302 https://a.example.com/new; }", hash, ""), migration.Took, "redirect: to https://a.example.com/new", `{to: "https://a.example.com/new", status: 302}`},
		{around("", "location /old { return 302 /new; }", hash, ""), migration.Stops, "clients get 404", "respond: {status: 404}"},
		{around("", "server_name _ a.example.com; location /old { return 302 /new; }", hash, ""), migration.Changed, "redirects to a path name http://a.example.com", `{to: "http://a.example.com/new", status: 302}`},
		{around("", "listen 443 ssl; server_name a.example.com; location = / { return 301 /app/; }", hash, ""), migration.Took, "redirect: to https://a.example.com/app/", `{path: "/", redirect: {to: "https://a.example.com/app/", status: 301}}`},
		{around("", "listen 8443 ssl; server_name a.example.com; location /old { return 302 /new; }", hash, ""), migration.Took, "redirect: to", `{to: "https://a.example.com:8443/new", status: 302}`},
		{around("", "server_name a.example.com; location /old { return 302 https://${host}/new; }", hash, ""), migration.Changed, "the name is a.example.com", `{to: "https://a.example.com/new", status: 302}`},
		{around("", "server_name a.example.com; location /old { return 302 /new$is_args$args; }", hash, ""), migration.Stops, "clients get 404", "respond: {status: 404}"},
		{around("", "location /x { return 999; }", hash, ""), migration.Stops, "no answer like this", "respond: {status: 404}"},
		{around("", "", hash, "access_log off;"), migration.Took, "log.access: false", "  access: false"},
		{around("", "", hash, "frob on;"), migration.Unknown, "isn't known to the import", ""},
		{around("", "listen 443 ssl;", hash, "server { listen 443 ssl default_server; ssl_reject_handshake on; }"), migration.Took, "tls.strict_sni: true", "  strict_sni: true"},
		{around("", "listen 443 ssl;", hash, "server { listen 80 default_server; listen 443 ssl default_server; ssl_reject_handshake on; return 444; }"), migration.Took, "tls.strict_sni: true", `unmatched: "421"`},
		{around("", "", hash, "access_log syslog:server=10.0.0.5,facility=local7,tag=nginx combined;"), migration.Took, "log.access_output", `  access_output: "syslog:udp://10.0.0.5:514"`},
		{around("access_log syslog:server=[2001:db8::1]:12345;", "", hash, ""), migration.Changed, "RFC 5424", `  access_output: "syslog:udp://[2001:db8::1]:12345"`},
		{around("", "access_log syslog:server=unix:/dev/log;", hash, ""), migration.Took, "log.access_output", `  access_output: "syslog:/dev/log"`},
		{around("", "", hash, "access_log syslog:server=logs.internal;"), migration.Decide, "an IP address or a socket", ""},
		{around("expires 7d;", "", hash, ""), migration.Stops, "adds no Expires", ""},
		{around("limit_except GET { deny all; }", "", hash, ""), migration.Stops, "no conditions", ""},
		{around("", "set_real_ip_from 10.0.0.0/8;", hash, ""), migration.Stops, "without real_ip_header", `trusted_networks: ["10.0.0.0/8"]`},
		{around("set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;", "", hash, ""), migration.Took, "a client's address from there", `trusted_networks: ["10.0.0.0/8"]`},
		{around("", "", "least_conn;", ""), migration.Moves, "keeps no requests together", "  policy: consistent"},
		{"stream { server { listen 22; } }\n" + around("", "", hash, ""), migration.Stops, "HTTP only", ""},
	})
}

// A lineRow is an nginx.conf, with a note and a part of lb.yaml that its import has.
type lineRow struct {
	text       string
	verdict    migration.Verdict
	note, yaml string
}

func checkLines(t *testing.T, rows []lineRow) {
	t.Helper()
	for _, row := range rows {
		result, err := nginxcfg.Import("nginx.conf", []byte(row.text), nginxcfg.Options{})
		if err != nil {
			t.Errorf("%v\n%s", err, row.text)
			continue
		}
		if said := result.Report.Only(row.verdict) + result.Report.String(); !strings.Contains(said, row.note) {
			t.Errorf("%s\nno note %q %q in\n%s", row.text, row.verdict, row.note, said)
		}
		if !hasNote(result.Report, row.verdict, row.note) {
			t.Errorf("%s\nthe note %q isn't %q", row.text, row.note, row.verdict)
		}
		if !strings.Contains(string(result.YAML), row.yaml) {
			t.Errorf("%s\nno %q in\n%s", row.text, row.yaml, result.YAML)
		}
	}
}

func hasNote(r *migration.Report, v migration.Verdict, text string) bool {
	for i := range r.Lines {
		for _, n := range r.Lines[i].Notes {
			if n.Verdict == v && strings.Contains(n.Text, text) {
				return true
			}
		}
	}
	return false
}

// TestEachLineIsInTheReport: a line that says something has a note, or is in a block that has one.
func TestEachLineIsInTheReport(t *testing.T) {
	files, err := filepath.Glob("../testdata/nginxcfg/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("where are the stories?", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, archive.Files[0].Data)
	}
}

func checkReport(t *testing.T, data []byte) {
	t.Helper()
	result, err := nginxcfg.Import("nginx.conf", data, nginxcfg.Options{})
	if err != nil {
		return
	}
	for _, l := range result.Report.Lines {
		if l.Text != "" && len(l.Notes) == 0 && l.Within == 0 {
			t.Errorf("line %d has no note: %s\n%s", l.Number, l.Text, data)
		}
		if l.Within != 0 && len(result.Report.Lines[l.Within-1].Notes) == 0 {
			t.Errorf("line %d is in a block without a note: %s\n%s", l.Number, l.Text, data)
		}
	}
}

// FuzzImport: no file makes an import fail in another way than by an error, and no line is lost.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("../testdata/nginxcfg/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal("where are the stories?", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Add([]byte("include {\n}\nhttp { server { location / { proxy_pass http://10.0.0.1; } } }"))
	f.Add([]byte("# configuration file /a:\ninclude b;\n# configuration file /b:\ninclude b;"))
	f.Fuzz(func(t *testing.T, data []byte) { checkReport(t, data) })
}

// TestWhatNginxPrintsIsRead: nginx -T has the files one after another.
func TestWhatNginxPrintsIsRead(t *testing.T) {
	const printed = "nginx: configuration file /etc/nginx/nginx.conf test is successful\n" +
		"# configuration file /etc/nginx/nginx.conf:\nhttp { include conf.d/*.conf; }\n\n" +
		"# configuration file /etc/nginx/conf.d/a.conf:\nserver { location / { proxy_pass http://10.0.0.1:4000; } }\n"
	for _, text := range []string{printed, printed[strings.Index(printed, "#"):]} {
		result, err := nginxcfg.Import("nginx.conf", []byte(text), nginxcfg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(result.YAML), `address: "10.0.0.1:4000"`) {
			t.Errorf("the included server is missing:\n%s", result.YAML)
		}
	}
}

// TestFilesThatIncludeThemselvesAreRefused, as nginx refuses them.
func TestFilesThatIncludeThemselvesAreRefused(t *testing.T) {
	files := fstest.MapFS{"etc/nginx/a.conf": {Data: []byte("include a.conf;")}}
	_, err := nginxcfg.Import("nginx.conf", []byte("http { include a.conf; }"), nginxcfg.Options{Files: files})
	if err == nil || !strings.Contains(err.Error(), "includes itself") {
		t.Errorf("got %v, want an error", err)
	}
}

// TestLooks: the first lines tell whose file it is.
func TestLooks(t *testing.T) {
	looks := []string{"user www-data;\n", "# edge\nhttp {\n", "listen 80;\n", "# configuration file /etc/nginx.conf:\n"}
	others := []string{
		"global\n  daemon\n", "frontend a\n  acl x path / {\n", "listen a\n  server b 10.0.0.1:80;\n",
		"", "defaults\nhttp-request deny if { path }\n",
	}
	for i, text := range append(looks, others...) {
		if got, want := nginxcfg.Looks([]byte(text)), i < len(looks); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	example, err := os.ReadFile("../testdata/haproxycfg/example/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	if nginxcfg.Looks(example) {
		t.Error("a haproxy.cfg looks like nginx's")
	}
}

// TestSecretsAreNotReported: a report shows each line, but for what may be secret.
func TestSecretsAreNotReported(t *testing.T) {
	for _, line := range []string{
		"proxy_set_header X-Api-Key hunter2;",
		`proxy_set_header Authorization "Basic hunter2";`,
		"add_header X-Edge-Secret hunter2;",
		"set $secret hunter2;",
		`if ($arg_token = "hunter2") { return 403; }`,
		"if ($http_x_edge != hunter2) { return 403; }",
		"secure_link_secret hunter2;",
		"rewrite ^ https://a.example.com/?key=hunter2 permanent;",
		"proxy_buffering off; # hunter2",
	} {
		text := around(line, "", "hash $arg_token consistent;", "map $arg_token $known { hunter2 1; default 0; }")
		result, err := nginxcfg.Import("nginx.conf", []byte(text), nginxcfg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if said := result.Report.String(); strings.Contains(said, "hunter2") {
			t.Errorf("%s: the secret is shown:\n%s", line, said)
		}
		if _, err = nginxcfg.Import("nginx.conf", []byte(text+line+` "`), nginxcfg.Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
			if !strings.Contains(line, "#") {
				t.Errorf("%s, with an open quote: got %v, want an error without the secret", line, err)
			}
		}
	}
}
