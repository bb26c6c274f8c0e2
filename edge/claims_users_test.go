package edge

import (
	"fmt"
	"net/http"
	"testing"
)

// claimKeys: requests with the same key go to the same host, wherever the key is in the
// request. lb takes some other values as the key than HAProxy does.
func claimKeys(t *testing.T) {
	for balance, asks := range map[string]func(key string) (target, fields string){
		"url_param token":                      func(key string) (string, string) { return "/?a=1&token=" + key + "&token=other", "" },
		"hash url_param(token)":                func(key string) (string, string) { return "/?a;token=" + key + ";x&token=" + key, "" },
		"hdr(X-User)":                          func(key string) (string, string) { return "/?token=" + key, "X-User: " + key + ",other\r\n" },
		"hash req.hdr(X-User)":                 func(key string) (string, string) { return "/", "X-User: " + key + ",a\r\nX-User: b\r\n" },
		"hash req.cook(sid)":                   func(key string) (string, string) { return "/", "Cookie: sid=" + key + "; sid=other\r\n" },
		"roundrobin\n  stick on req.cook(sid)": func(key string) (string, string) { return "/", "Cookie: sid=" + key + "\r\n" },
	} {
		t.Run(balance, func(t *testing.T) {
			r := runLines(t, cfgLines{back: "  balance " + balance, servers: hostsNamed(t, "one", "two", "three")})
			hosts := map[string]bool{}
			for i := range 20 {
				target, fields := asks(fmt.Sprintf("key%d", i))
				first := r.name(target, fields)
				hosts[first] = true
				for range 3 {
					if name := r.name(target, fields); name != first {
						t.Fatalf("%s %q went to %s and to %s", target, fields, first, name)
					}
				}
			}
			if len(hosts) < 2 {
				t.Errorf("twenty keys went to %v", hosts)
			}
		})
	}
	t.Run("source", func(t *testing.T) {
		r := runLines(t, cfgLines{back: "  balance source", servers: hostsNamed(t, "one", "two", "three")})
		first := r.name("/?token=a", "")
		for i := range 9 {
			if name := r.name(fmt.Sprintf("/?token=%d", i), ""); name != first {
				t.Errorf("one address went to %s and to %s", first, name)
			}
		}
	})
}

// claimTurns: requests without a key go to the hosts in turn, so a user is on several
// hosts. An empty value is no key, and neither is a value in a body.
func claimTurns(t *testing.T) {
	for _, balance := range []string{"url_param token check_post", "uri", "hash path", "leastconn"} {
		r := runLines(t, cfgLines{back: "  balance " + balance + "\n  stick on cookie(sid)", servers: hostsNamed(t, "one", "two", "three")})
		target := "/?token="
		if balance == "leastconn" { // its key is the table's
			target = "/"
		}
		seen := map[string]bool{}
		for range 12 {
			seen[r.name(target, "")] = true
		}
		if len(seen) != 3 {
			t.Errorf("%s: requests without a key went to %v", balance, seen)
		}
	}
}

// claimCookie: with cookie … insert, or with affinity: {cookie: {}} as notes propose, a
// browser is on one host from its first answer on, with a token or without.
func claimCookie(t *testing.T) {
	r := runLines(t, cfgLines{back: "  cookie SRV insert indirect nocache httponly secure maxlife 8h attr SameSite=None", servers: hostsNamed(t, "one", "two", "three")})
	resp := r.get("/?token=t1", "Cookie: SRV=one\r\n")
	first := resp.Header.Get("X-Name")
	cookies := resp.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "SRV" || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].SameSite != http.SameSiteNoneMode || cookies[0].Path != "/" {
		t.Fatalf("the cookie is %v", resp.Header["Set-Cookie"])
	}
	for _, target := range []string{"/", "/", "/?token=other", "/?token=t1"} {
		if name := r.name(target, "Cookie: SRV="+cookies[0].Value+"\r\n"); name != first {
			t.Errorf("%s went to %s, the browser's host is %s", target, name, first)
		}
	}
	if seen := r.name("/", "Cookie: SRV="+first+"\r\n"); seen == "" { // lb knows no host for HAProxy's value
		t.Error("a value of HAProxy's isn't served")
	}
}
