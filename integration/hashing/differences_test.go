//go:build integration

package hashing

import (
	"strings"

	"github.com/google/go-cmp/cmp"
)

// A difference is a known one: apply takes it out of what nginx and lb have given, if it is there.
type difference struct {
	name, why string
	apply     func(nginx, lb *exchange)
}

// sides returns the two of a request, without what is known to differ. met gets the names of the
// differences that there were.
func sides(nginx, lb exchange, met map[string]bool) (a, b exchange) {
	for _, d := range differences {
		before := cmp.Diff(nginx, lb)
		d.apply(&nginx, &lb)
		if cmp.Diff(nginx, lb) != before {
			met[d.name] = true
		}
	}
	return nginx, lb
}

// known returns a difference that there is only if both have what it is about. apply takes it out.
func known(name, why string, is func(nginx, lb *exchange) bool, apply func(nginx, lb *exchange)) difference {
	return difference{name, why, func(nginx, lb *exchange) {
		if is(nginx, lb) {
			apply(nginx, lb)
		}
	}}
}

// differences are those of what each of the two adds to every message, and those that the import's
// report names.
var differences = []difference{
	{"nginx names itself", "server_tokens hides no more than its version", func(nginx, _ *exchange) {
		nginx.Fields.Del("Server")
	}},
	{"nginx says keep-alive", "that is what HTTP/1.1 does without the word", func(nginx, _ *exchange) {
		if nginx.Fields.Get("Connection") == "keep-alive" {
			nginx.Fields.Del("Connection")
		}
	}},
	{"lb names requests", "log lines of lb and of hosts can be found by it", func(_, lb *exchange) {
		lb.Fields.Del("X-Request-Id")
		lb.Seen.Fields.Del("X-Request-Id")
	}},
	{"lb tells hosts more", "it sets X-Forwarded-Host and X-Forwarded-Port by itself", func(_, lb *exchange) {
		lb.Seen.Fields.Del("X-Forwarded-Host")
		lb.Seen.Fields.Del("X-Forwarded-Port")
	}},
	{"nginx closes connections to hosts", "the map for WebSockets says so; lb keeps them open", func(nginx, _ *exchange) {
		nginx.Seen.Fields.Del("Connection")
	}},
	{"lb names the port of its TLS", "it isn't 443 in this test, and nginx's line has none", func(_, lb *exchange) {
		lb.Location = strings.Replace(lb.Location, "example.com:10443", "example.com", 1)
	}},
	{"nginx names the port of its TLS", "as lb does, where the file has only a path", func(nginx, _ *exchange) {
		nginx.Location = strings.Replace(nginx.Location, "example.com:10443", "example.com", 1)
	}},
	{"pages", "each has its own, and lb's aren't kept by caches", func(nginx, lb *exchange) {
		for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
			if nginx.Fields.Get("X-Host") == "" && lb.Fields.Get("X-Host") == "" {
				nginx.Fields.Del(name)
				lb.Fields.Del(name)
			}
		}
	}},
	{"lb leaves the token out of redirects", "it was sent in clear, or another server would get it", func(nginx, _ *exchange) {
		nginx.Location = strings.Replace(nginx.Location, "&token=t", "", 1)
	}},
	known("lb asks that browsers keep no redirect", "the request had a token",
		func(nginx, lb *exchange) bool { return nginx.Status == 301 && lb.Status == 307 },
		func(nginx, lb *exchange) { nginx.Status = lb.Status }),
	known("lb drops what a client says that is no trusted proxy", "the report says so at X-Forwarded-For",
		func(nginx, _ *exchange) bool {
			return nginx.Seen.Fields.Get("X-Forwarded-For") == "192.0.2.1, 127.0.0.1"
		},
		func(nginx, _ *exchange) { nginx.Seen.Fields.Set("X-Forwarded-For", "127.0.0.1") }),
	known("nginx writes the host name in small letters", "lb passes on the Host that the client sends, as the report says",
		func(nginx, lb *exchange) bool { return strings.EqualFold(nginx.Seen.Host, lb.Seen.Host) },
		func(nginx, lb *exchange) { nginx.Seen.Host = lb.Seen.Host }),
	{"lb says that passwords are UTF-8", "RFC 7617 has the word since 2015", func(_, lb *exchange) {
		if value := lb.Fields.Get("Www-Authenticate"); value != "" {
			lb.Fields.Set("Www-Authenticate", strings.TrimSuffix(value, `, charset="UTF-8"`))
		}
	}},
	known("nginx redirects to the path with a slash", "lb leaves that to the hosts, as the report says",
		func(nginx, lb *exchange) bool {
			return nginx.Status == 301 && nginx.Location == "https://ide.example.com"+lb.Seen.Target+"/" && strings.HasPrefix(lb.Fields.Get("X-Host"), "127.77.0.21:")
		},
		func(nginx, lb *exchange) { *nginx = *lb }),
}
