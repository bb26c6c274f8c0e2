package admin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tokenring/problem"
)

// dashboardHeader is set by the dashboard's own script on calls that change
// something. A form can't set a header, and a script of another site's page can set it
// only with this server's permission (CORS), which it never gets.
const dashboardHeader = "X-Lb-Dashboard"

// contentPolicy lets a page load and call only this server, and lets no other page
// show it in a frame.
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

// A caller is the sender of a request that has passed authenticate.
type caller struct {
	by     string          // "api" or "dashboard"
	remote string          // the request's source address
	reads  bool            // it may read, and change nothing
	rights context.Context // ends when the request's sign-in ends, or when its token is replaced
}

type callerKey struct{}

// callerOf returns the caller of the request that ctx belongs to. It is nil if the
// request has no token and no sign-in; such a request reaches only public paths.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// authenticate passes a request on to next if it may be answered. The two health paths
// are open to all. Requests with the bearer token reach all paths. Browsers must use a
// name of this server; they reach the sign-in page and, with a sign-in, all paths.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if token, ok := bearer(r); ok {
			admitted := s.admit(token)
			if admitted == nil {
				s.wrongTokens.note(viaBearer, r.RemoteAddr)
				unauthorized(w, "the bearer token is wrong")
				return
			}
			s.serveAs(w, r, next, &caller{by: "api", remote: r.RemoteAddr, reads: admitted.reads, rights: admitted.inForce})
			return
		}
		// In DNS rebinding, the owner of another name points it at our address, and the
		// browser takes the page and this server for the same origin. But the browser
		// still sends that name as Host.
		if !s.isOurs(r.Host) {
			problem.Write(w, http.StatusMisdirectedRequest, "this is not a name of the admin endpoint: use the address that it is configured with, or a bearer token")
			return
		}
		s.authenticateBrowser(w, r, next)
	})
}

// authenticateBrowser is authenticate for requests without a bearer token.
func (s *Server) authenticateBrowser(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !safe(r.Method) && !sameOrigin(r) {
		problem.Write(w, http.StatusForbidden, "calls that change something must come from the dashboard's own page, or carry a bearer token")
		return
	}
	found := s.signIns.find(cookieOf(r))
	switch {
	case found != nil && !foreign(r):
		s.serveAs(w, r, next, &caller{by: "dashboard", remote: r.RemoteAddr, reads: found.reads, rights: found.ctx})
	case isPublic(r.URL.Path):
		next.ServeHTTP(w, r)
	default:
		unauthorized(w, "send the token as Authorization: Bearer …, or sign in at / with a browser")
	}
}

// serveAs passes a request of c on to next, unless it would change something and c may not.
func (s *Server) serveAs(w http.ResponseWriter, r *http.Request, next http.Handler, c *caller) {
	s.conns.authenticated(r.Context())
	if c.reads && !safe(r.Method) && !readingCalls[r.URL.Path] {
		problem.Write(w, http.StatusForbidden, "this token may read, and change nothing: use the operators' token")
		return
	}
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

func unauthorized(w http.ResponseWriter, detail string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="lb admin"`)
	problem.Write(w, http.StatusUnauthorized, detail)
}

// isPublic reports whether strangers may see path: it is the sign-in page, or a file
// that is the same in every balancer.
func isPublic(path string) bool {
	return path == "/" || path == "/signin" || strings.HasPrefix(path, "/assets/")
}

// bearer returns the token of the Authorization field (RFC 6750 §2.1). ok is false if
// there is no such field. A field with another scheme counts as a wrong token.
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

// isOurs reports whether a Host field is a name of this server: an IP address, which
// DNS can't point elsewhere, localhost, the configured name, or a name of its
// certificate.
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

// hostName returns a Host field without port and brackets.
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
// request. A cookie doesn't show that, because browsers send it with requests from
// pages of all ports of a host.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}
