package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// dashboardHeader is set by the dashboard's own script on calls that change
// something. No form can set a header, and a foreign page's script would need our
// leave to.
const dashboardHeader = "X-Lb-Dashboard"

// contentPolicy lets a page load and reach nothing but this server's own files,
// and lets nobody frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer has.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// A visitor is who sent a request that has passed the guard.
type visitor struct {
	by      string   // "api" or "dashboard"
	remote  string   // the address it came from
	session *session // nil for a bearer of the token
}

type visitorKey struct{}

// visitorOf returns who sent the request that ctx belongs to; nil for those who
// haven't shown a token, and get no further than the public paths.
func visitorOf(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}

// guard lets through who has a right to: anybody to ask for health; bearers of
// the token everywhere; and browsers that address us by a name of ours to the
// sign-in page and, once signed in, to the rest.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if token, ok := bearer(r); ok {
			if !s.knows(token) {
				s.refusals.note(viaBearer, r.RemoteAddr)
				unauthorized(w, "the bearer token is wrong")
				return
			}
			next.ServeHTTP(w, s.as(r, &visitor{by: "api", remote: r.RemoteAddr}))
			return
		}
		// A page of a foreign name that its owner has pointed at our address
		// (DNS rebinding) is of the same origin for the browser. It can't help
		// sending its own name as Host.
		if !s.isOurs(r.Host) {
			problem(w, http.StatusMisdirectedRequest, "this name isn't ours: use the address that the admin endpoint is configured with, or a bearer token")
			return
		}
		s.guardBrowser(w, r, next)
	})
}

// guardBrowser is guard for requests that carry no bearer token.
func (s *Server) guardBrowser(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !safe(r.Method) && !sameOrigin(r) {
		problem(w, http.StatusForbidden, "calls that change something must come from the dashboard's own page, or carry a bearer token")
		return
	}
	sess := s.sessions.find(cookieOf(r))
	switch {
	case sess != nil && !foreign(r):
		next.ServeHTTP(w, s.as(r, &visitor{by: "dashboard", remote: r.RemoteAddr, session: sess}))
	case isPublic(r.URL.Path):
		next.ServeHTTP(w, r)
	default:
		unauthorized(w, "send the token as Authorization: Bearer …, or sign in at / with a browser")
	}
}

// as returns r as the request of a visitor.
func (s *Server) as(r *http.Request, v *visitor) *http.Request {
	s.conns.entitled(r.Context())
	return r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
}

func unauthorized(w http.ResponseWriter, detail string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="lb admin"`)
	problem(w, http.StatusUnauthorized, detail)
}

// isPublic reports whether path shows nothing that a stranger may not see: the
// sign-in page, and files that are the same in every balancer.
func isPublic(path string) bool {
	return path == "/" || path == "/signin" || strings.HasPrefix(path, "/assets/")
}

// bearer returns the token of the Authorization field (RFC 6750 §2.1). A field
// of another scheme counts as a wrong token.
func bearer(r *http.Request) (token string, ok bool) {
	field := r.Header.Get("Authorization")
	if field == "" {
		return "", false
	}
	scheme, token, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// knows reports whether token is the operators' one. Both are hashed first, so
// that the time taken tells neither its content nor its length.
func (s *Server) knows(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// isOurs reports whether host, a Host field, is a name that we go by: an IP
// address, which nobody can point elsewhere, localhost, the configured name, or
// one that our certificate is for.
func (s *Server) isOurs(host string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return name != "" && (name == strings.ToLower(hostName(s.deps.Address)) || s.deps.TLS != nil && s.deps.TLS.Covers(name))
}

// hostName returns hostport without port and brackets.
func hostName(hostport string) string {
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// sameOrigin reports whether a browser says that the dashboard's own script made
// the request.
func sameOrigin(r *http.Request) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return r.Header.Get("Origin") == scheme+r.Host && r.Header.Get(dashboardHeader) != "" && !foreign(r)
}

// foreign reports whether a browser says that a page of another origin made the
// request. A cookie doesn't tell: it goes with requests from all ports of a host.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}
