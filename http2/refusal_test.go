package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestRefusalsOfNetHTTPArePredicted(t *testing.T) {
	usual := []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a"}
	with := func(more ...string) []string { return append(append([]string(nil), usual...), more...) }
	for name, tt := range map[string]struct {
		fields []string
		status int
		reason Error
	}{
		"nothing wrong":      {with("x", "y"), 0, ""},
		"no field":           {nil, 0, errPseudoMissing},
		"no path":            {append(usual[:4:4], usual[6:]...), 0, errPseudoMissing},
		"another scheme":     {[]string{":method", "GET", ":scheme", "ftp", ":path", "/"}, 0, errPseudoMissing},
		"twice":              {with(":path", "/"), 0, errPseudoPlace},
		"after":              {append([]string{"x", "y"}, usual...), 0, errPseudoPlace},
		"unknown":            {with(":status", "200"), 0, errPseudo},
		"protocol":           {with(":protocol", "websocket"), 0, errPseudo},
		"upper case":         {with("X", "y"), 0, errField},
		"no name":            {with("", "y"), 0, errField},
		"control":            {with("x", "\x00"), 0, errField},
		"userinfo":           {with("host", "x@a"), 0, ""},
		"userinfo in Host":   {append(usual[:6:6], "host", "x@a"), 0, errAuthority},
		"userinfo in both":   {append(usual[:6:6], ":authority", "x@a"), 0, errAuthority},
		"escape":             {[]string{":method", "GET", ":scheme", "https", ":path", "/%zz"}, 0, errPath},
		"tab":                {[]string{":method", "GET", ":scheme", "https", ":path", "/\t"}, 0, errPath},
		"no slash":           {[]string{":method", "GET", ":scheme", "https", ":path", "x"}, 0, errPath},
		"asterisk":           {[]string{":method", "OPTIONS", ":scheme", "https", ":path", "*"}, 0, ""},
		"CONNECT":            {[]string{":method", "CONNECT", ":authority", "a:443"}, 0, ""},
		"CONNECT with path":  {[]string{":method", "CONNECT", ":authority", "a:443", ":path", "/"}, 0, errPseudoMissing},
		"large":              {with("x", strings.Repeat("y", 1000)), 431, errLarge},
		"as large as can be": {with("x", strings.Repeat("y", 1000-167-33)), 0, ""},
		"a byte larger":      {with("x", strings.Repeat("y", 1000-167-32)), 431, errLarge},
		"large path":         {[]string{":method", "GET", ":path", strings.Repeat("y", 1000), ":scheme", "https"}, 0, errLarge},
	} {
		s := section{limit: 1000}
		s.begin()
		for i := 0; i < len(tt.fields); i += 2 {
			s.add(hpack.HeaderField{Name: tt.fields[i], Value: tt.fields[i+1]})
		}
		r, ok := s.refusal()
		if ok != (tt.reason != "") || r.Reason != tt.reason || r.Status != tt.status {
			t.Errorf("%s: got %+v, %v, want %d %q (size %d)", name, r, ok, tt.status, tt.reason, s.size)
		}
	}
}
