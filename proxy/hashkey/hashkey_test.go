package hashkey

import (
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/clientcert"
	"tokenring/http1"
)

func TestKeysAreTakenFromTheFirstPlaceThatHasOne(t *testing.T) {
	rules := Rules{
		{Source: balancer.KeyQuery, Name: "token"},
		{Source: balancer.KeyCookie, Name: "ide"},
		{Source: balancer.KeyHeader, Name: "X-Token"},
		{Source: balancer.KeyClient},
	}
	var r http1.Request
	for _, tt := range []struct{ head, want, by string }{
		{"GET /?a=b&token=q HTTP/1.1\r\nHost: x\r\nCookie: ide=c\r\n\r\n", "q", "{query: token}"},
		{"GET /?token= HTTP/1.1\r\nHost: x\r\nCookie: a=1;ide=c; x\r\n\r\n", "c", "{cookie: ide}"},
		{"GET /?Token=q HTTP/1.1\r\nHost: x\r\nCookie: IDE=c\r\nx-token: h\r\n\r\n", "h", "{header: X-Token}"},
		{"GET / HTTP/1.1\r\nHost: x\r\nCookie: aide=c\r\nCookie: z; ide=second\r\n\r\n", "second", "{cookie: ide}"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "addr", "source"},
	} {
		if err := http1.NewReader(strings.NewReader(tt.head), http1.Limits{}).ReadRequest(&r); err != nil {
			t.Fatal(err)
		}
		key, by := rules.Find(&r, &Client{Address: []byte("addr")})
		if string(key) != tt.want || by.String() != tt.by {
			t.Errorf("%q: got %q by %s, want %q by %s", tt.head, key, by, tt.want, tt.by)
		}
	}
}

func TestKeysFromPathsAndTrustedHeaders(t *testing.T) {
	rules := Rules{{Source: balancer.KeyPath, Name: "2"}, {Source: balancer.KeyTrusted, Name: "X-User"}, {Source: balancer.KeyClient}}
	var r http1.Request
	for _, row := range []struct {
		path    string
		trusted bool
		want    string
	}{
		{"/ide/%61lice/files?x=/y/z", true, "%61lice"}, // never decoded
		{"/ide/alice", false, "alice"},
		{"/ide//files", true, "user"}, // an empty one is none
		{"/ide/", true, "user"},
		{"/ide?/alice", true, "user"},
		{"/", false, "addr"}, // what a client that isn't trusted says of itself doesn't count
	} {
		head := "GET " + row.path + " HTTP/1.1\r\nHost: x\r\nx-user: user\r\n\r\n"
		if err := http1.NewReader(strings.NewReader(head), http1.Limits{}).ReadRequest(&r); err != nil {
			t.Fatal(err)
		}
		if got, _ := rules.Find(&r, &Client{Address: []byte("addr"), Trusted: row.trusted}); string(got) != row.want {
			t.Errorf("%s, trusted %t: got %q, want %q", row.path, row.trusted, got, row.want)
		}
	}
}

// TestKeysFromCertificates, of which one without a subject has a fingerprint nevertheless.
func TestKeysFromCertificates(t *testing.T) {
	rules := Rules{
		{Source: balancer.KeyCertificate, Name: balancer.CertificateSubject}, {Source: balancer.KeyCertificate, Name: balancer.CertificateFingerprint}, {Source: balancer.KeyClient},
	}
	for _, row := range []struct {
		shown *clientcert.Certificate
		want  string
	}{
		{&clientcert.Certificate{Subject: []byte("CN=eva"), Fingerprint: []byte("0a1b")}, "CN=eva"},
		{&clientcert.Certificate{Fingerprint: []byte("0a1b")}, "0a1b"},
		{nil, "addr"},
	} {
		if got, _ := rules.Find(new(http1.Request), &Client{Address: []byte("addr"), Certificate: row.shown}); string(got) != row.want {
			t.Errorf("%+v: got %q, want %q", row.shown, got, row.want)
		}
	}
}

func TestARequestWithoutAKeyHasNoRule(t *testing.T) {
	if key, by := (Rules{{Source: balancer.KeyQuery, Name: "token"}}).Find(new(http1.Request), new(Client)); key != nil || by != nil {
		t.Errorf("got %q by %s", key, by)
	}
}

func TestPathsAreShownWithoutTheirKeys(t *testing.T) {
	rules := Rules{{Source: balancer.KeyQuery, Name: "token"}, {Source: balancer.KeyPath, Name: "2"}}
	for _, row := range []struct{ path, key, want string }{
		{"/ide/alice/files", "alice", "/ide/*/files"},
		{"/ide/alice", "other", "/ide/*"}, // it may be another one's
		{"/ide/alice/of/alice", "alice", "(redacted)"},
		{"/ide/a%20b/files", "a%20b", "/ide/*/files"},
		{"/ide", "", "/ide"},
		{"/ide//x", "", "/ide//x"},
		{"*", "", "*"},
	} {
		path := []byte(row.path)
		if got := string(rules.RedactPath(path, []byte(row.key))); got != row.want || string(path) != row.path {
			t.Errorf("%s: got %s, want %s; the path is now %s", row.path, got, row.want, path)
		}
	}
}

func TestPathsInTheLogAreBounded(t *testing.T) {
	rules := Rules{{Source: balancer.KeyQuery, Name: "token"}}
	long := "/" + strings.Repeat("x", 1000)
	for path, want := range map[string]string{
		"/a%20b": "/a%20b", "/": "/", "/mytoken": "/mytoken", "/100%25": "(redacted)", long: long[:256] + "…",
	} {
		if got := string(rules.Redact([]byte(path), nil)); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestStrippedQueriesLackTheKeyAndNothingElse(t *testing.T) {
	rules := Rules{{Source: balancer.KeyQuery, Name: "token"}, {Source: balancer.KeyClient}}
	for _, row := range []struct {
		query, key, want string
		keyed            bool
	}{
		{"a=1&token=x&b=%20", "x", "a=1&b=%20", true},
		{"TOKEN=x", "x", "", true},
		{"%2574oken=x&a=1", "", "a=1", true},
		{"next=%2F%3Ftoken%3Dx&a=1", "", "a=1", true},
		{"copy=long-secret&a=1", "long-secret", "a=1", true},
		{"page=1&a=1", "1", "page=1&a=1", false}, // a short key is no secret that others could hold
		{"mytoken=x&token_id=1&&q=100%", "", "mytoken=x&token_id=1&&q=100%", false},
		{"", "", "", false},
	} {
		rest, keyed := rules.Strip([]byte(row.query), []byte(row.key))
		if string(rest) != row.want || keyed != row.keyed {
			t.Errorf("%s: got %s, %v, want %s, %v", row.query, rest, keyed, row.want, row.keyed)
		}
	}
}

// FuzzStrip: what is left of a query is never the key's, and is left as it was.
func FuzzStrip(f *testing.F) {
	rules := Rules{{Source: balancer.KeyQuery, Name: "token"}}
	for _, seed := range []string{"a=1&token=x", "%74oken=x", "a=%2574oken%3D", "&&", "token&=token"} {
		f.Add(seed, "long-secret")
	}
	f.Fuzz(func(t *testing.T, query, key string) {
		rest, keyed := rules.Strip([]byte(query), []byte(key))
		if !keyed && string(rest) != query {
			t.Errorf("%q became %q", query, rest)
		}
		if again, still := rules.Strip(rest, []byte(key)); still || string(again) != string(rest) {
			t.Errorf("%q became %q, and that %q", query, rest, again)
		}
		if value, ok := balancer.QueryValue(rest, "token"); ok && len(value) > 0 {
			t.Errorf("%q still has the key %q", rest, value)
		}
	})
}
