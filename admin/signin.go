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

	"tokenring/problem"
)

const (
	signInLife = 12 * time.Hour
	maxSignIns = 64
)

// A signIn is one browser's sign-in. ctx ends with it.
type signIn struct {
	ctx     context.Context
	end     context.CancelFunc
	expires time.Time
	reads   bool // by the readers' token
}

// signIns are the sign-ins in force, by the digest of the random name that is the
// value of the browser's cookie. They are kept in memory only, so that a restart signs
// all operators out; a reload doesn't (State).
type signIns struct {
	mu     *sync.Mutex
	byName map[[sha256.Size]byte]*signIn
}

func newSignIns() signIns {
	return signIns{
		mu:     new(sync.Mutex),
		byName: make(map[[sha256.Size]byte]*signIn),
	}
}

// open starts a sign-in and returns its name for the cookie. If there are too many, it
// ends the sign-in that would expire first.
func (s signIns) open(reads bool) (name string) {
	name = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addLocked(sha256.Sum256([]byte(name)), time.Now().Add(signInLife), reads)
	return name
}

func (s signIns) addLocked(name [sha256.Size]byte, expires time.Time, reads bool) {
	ctx, end := context.WithDeadline(context.Background(), expires)
	s.makeRoomLocked()
	s.byName[name] = &signIn{ctx: ctx, end: end, expires: expires, reads: reads}
}

func (s signIns) makeRoomLocked() {
	var oldest [sha256.Size]byte
	for name, found := range s.byName {
		if found.ctx.Err() != nil {
			s.endLocked(name)
		} else if o := s.byName[oldest]; o == nil || found.expires.Before(o.expires) {
			oldest = name
		}
	}
	if len(s.byName) >= maxSignIns {
		s.endLocked(oldest)
	}
}

// find returns the sign-in of a name, nil if there is none.
func (s signIns) find(name string) *signIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byName[sha256.Sum256([]byte(name))]
	if found == nil || found.ctx.Err() != nil {
		return nil
	}
	return found
}

func (s signIns) close(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(sha256.Sum256([]byte(name)))
}

// endAll ends all sign-ins by the readers' token, or by the operators'.
func (s signIns) endAll(reads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, found := range s.byName {
		if found.reads == reads {
			s.endLocked(name)
		}
	}
}

// endHere ends all for this process. list still has them.
func (s signIns) endHere() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.byName {
		found.end()
	}
}

func (s signIns) endLocked(name [sha256.Size]byte) {
	if found := s.byName[name]; found != nil {
		found.end()
		delete(s.byName, name)
	}
}

// signIn answers the operators' token with a sign-in's cookie. The body is
// {"token":"…"}; no answer repeats any of it. The right token is always accepted. Only
// requests with a wrong token may be told to wait.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		problem.Write(w, http.StatusBadRequest, `want {"token":"…"}`)
		return
	}
	token := strings.TrimSpace(body.Token)
	admitted := s.admit(token)
	if admitted == nil {
		if !s.wrongTokens.note(viaSignIn, r.RemoteAddr) {
			w.Header().Set("Retry-After", retrySignIn)
			problem.Write(w, http.StatusTooManyRequests, "this is not the admin token, and too many wrong tokens have come from your address; try again in a moment")
			return
		}
		problem.Write(w, http.StatusUnauthorized, "this is not the admin token")
		return
	}
	name := s.signIns.open(admitted.reads)
	if s.admit(token) == nil { // it was replaced meanwhile, and this sign-in isn't among those that have ended
		s.signIns.close(name)
		problem.Write(w, http.StatusUnauthorized, "this is not the admin token any more")
		return
	}
	s.deps.Logger.Info().Str("remote", r.RemoteAddr).Bool("reads", admitted.reads).Msg("signed in to the dashboard")
	setCookie(w, r, name, int(signInLife.Seconds()))
	w.WriteHeader(http.StatusNoContent)
}

// signOut ends the sign-in that the request's cookie names.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.signIns.close(cookieOf(r))
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

// cookieOf returns the name of a sign-in in r's cookie, "" if there is none. The
// sign-in may not exist.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// cookieName returns the cookie's name for the port in r's Host. Each port has its own,
// because browsers send a host's cookies to all its ports, and the endpoints of several
// balancers may be on one host.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil || strings.Trim(port, "0123456789") != "" {
		return "lb_session"
	}
	return "lb_session_" + port
}
