package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	maxSessions = 64
)

// A session is one browser's sign-in. ctx ends with it.
type session struct {
	ctx     context.Context
	end     context.CancelFunc
	expires time.Time
}

// sessions are the sign-ins in force, by the digest of the random name that the
// browser's cookie holds. They live in memory only: a restart signs everybody
// out.
type sessions struct {
	mu     *sync.Mutex
	byName map[[sha256.Size]byte]*session
}

func newSessions() sessions {
	return sessions{
		mu:     new(sync.Mutex),
		byName: make(map[[sha256.Size]byte]*session),
	}
}

// open starts a session and returns its name for the cookie. The session that
// would expire first gives way when there are too many.
func (s sessions) open() (name string) {
	name = rand.Text()
	expires := time.Now().Add(sessionLife)
	ctx, end := context.WithDeadline(context.Background(), expires)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoomLocked()
	s.byName[sha256.Sum256([]byte(name))] = &session{ctx: ctx, end: end, expires: expires}
	return name
}

func (s sessions) makeRoomLocked() {
	var oldest [sha256.Size]byte
	for name, sess := range s.byName {
		if sess.ctx.Err() != nil {
			s.endLocked(name)
		} else if o := s.byName[oldest]; o == nil || sess.expires.Before(o.expires) {
			oldest = name
		}
	}
	if len(s.byName) >= maxSessions {
		s.endLocked(oldest)
	}
}

// find returns the session that goes by name, nil if there is none.
func (s sessions) find(name string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess := s.byName[sha256.Sum256([]byte(name))]
	if sess == nil || sess.ctx.Err() != nil {
		return nil
	}
	return sess
}

func (s sessions) close(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(sha256.Sum256([]byte(name)))
}

func (s sessions) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.byName {
		s.endLocked(name)
	}
}

func (s sessions) endLocked(name [sha256.Size]byte) {
	if sess := s.byName[name]; sess != nil {
		sess.end()
		delete(s.byName, name)
	}
}

// signIn trades the operators' token for a session cookie. The body is
// {"token":"…"}; no answer repeats any of it. The right token always opens one:
// only a source of wrong ones is told to wait.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		problem(w, http.StatusBadRequest, `want {"token":"…"}`)
		return
	}
	if !s.knows(strings.TrimSpace(body.Token)) {
		if !s.refusals.note(viaSignIn, r.RemoteAddr) {
			w.Header().Set("Retry-After", retrySignIn)
			problem(w, http.StatusTooManyRequests, "this is not the admin token, and too many wrong ones have come from here; try again in a moment")
			return
		}
		problem(w, http.StatusUnauthorized, "this is not the admin token")
		return
	}
	s.deps.Logger.Info().Str("remote", r.RemoteAddr).Msg("signed in to the dashboard")
	setCookie(w, r, s.sessions.open(), int(sessionLife.Seconds()))
	w.WriteHeader(http.StatusNoContent)
}

// signOut ends the session that the request's cookie names.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.sessions.close(cookieOf(r))
	setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name:     cookieName(r),
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   r.TLS != nil,
		SameSite: http.SameSiteStrictMode,
	})
}

// cookieOf returns the name of the session that r claims to belong to.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// cookieName is another one for each port, because browsers share cookies among
// all ports of a host, and several balancers may be looked at on one.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil || strings.Trim(port, "0123456789") != "" {
		return "lb_session"
	}
	return "lb_session_" + port
}
