package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/session"
)

// Terminals lists and ends the open terminals of a balancer and its peers. Its methods are
// safe for concurrent use.
type Terminals interface {
	// Terminals lists those of a selection. They are those that were idle the longest.
	Terminals(ctx context.Context, sel session.Selection) session.Listing
	// EndTerminals ends the sessions of which all terminals are in a selection.
	EndTerminals(ctx context.Context, sel session.Selection) session.Ending
}

// noTerminals is Terminals where there are none.
type noTerminals struct{}

func (noTerminals) Terminals(context.Context, session.Selection) session.Listing {
	return session.Listing{}
}

func (noTerminals) EndTerminals(context.Context, session.Selection) session.Ending {
	return session.Ending{}
}

// The bounds of one answer, in terminals.
const (
	defaultListed = 1000
	maxListed     = 4000
)

// sessionsAnswer bounds the answer to a question that other processes answer, too.
const sessionsAnswer = 30 * time.Second

func (s *Server) registerSessions(api huma.API) {
	huma.Register(api, withLongDeadline(operation(http.MethodGet, "/v1/sessions", "List the open terminals, those first that were idle the longest",
		http.StatusUnprocessableEntity)), s.listSessions)
	find := withLongDeadline(operation(http.MethodPost, "/v1/sessions/find", "Say where a token's terminals are, and why there", http.StatusUnprocessableEntity))
	find.Metadata = map[string]any{secretBody: true}
	huma.Register(api, find, s.findSessions)
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/sessions/end", "End sessions: their terminals are closed, and their users connect again",
		http.StatusUnprocessableEntity)), s.endSessions)
}

type listSessionsInput struct {
	Host     string   `query:"host" maxLength:"255" doc:"Only those on this host"`
	Balancer string   `query:"balancer" maxLength:"255" doc:"Only those through this balancer"`
	Idle     string   `query:"idle" maxLength:"32" doc:"Only those over which nothing was sent for so long: 10m, for example"`
	Key      []string `query:"key,explode" maxItems:"1000" doc:"Only those of keys whose digests begin so: 12 to 32 hexadecimal digits"`
	Limit    int      `query:"limit" minimum:"1" maximum:"4000" default:"1000" doc:"How many are listed at most"`
}

type sessionsOutput struct{ Body sessionsBody }

type sessionsBody struct {
	Sessions []terminalBody `json:"sessions" doc:"Those that were idle the longest come first"`
	Total    int            `json:"total" doc:"How many there are in all"`
	Missing  []missingBody  `json:"missing" doc:"Whose terminals aren't in the list, because they haven't answered"`
}

// A terminalBody is one open terminal.
type terminalBody struct {
	Key        string    `json:"key" doc:"The digest of its key, as the access log has it"`
	Digest     string    `json:"digest" doc:"The whole digest"`
	Host       string    `json:"host"`
	Balancer   string    `json:"balancer"`
	Generation int       `json:"generation,omitempty" doc:"The process of the balancer that carries it; missing if there is only one"`
	OpenedAt   time.Time `json:"opened_at"`
	Age        float64   `json:"age_seconds"`
	Idle       float64   `json:"idle_seconds" doc:"Since when nothing was sent, in either direction; users' heartbeats count"`
	In         int64     `json:"bytes_in" doc:"From the client since it was opened"`
	Out        int64     `json:"bytes_out" doc:"From the host since it was opened"`
	Client     string    `json:"client,omitempty" doc:"The client's network: the /24 of IPv4, the /48 of IPv6"`
}

type missingBody struct {
	Balancer   string `json:"balancer"`
	Generation int    `json:"generation,omitempty"`
	Why        string `json:"why"`
}

// listSessions lists terminals.
func (s *Server) listSessions(ctx context.Context, in *listSessionsInput) (*sessionsOutput, error) {
	sel, err := selection(in.Host, in.Balancer, in.Idle, in.Key, in.Limit)
	if err != nil {
		return nil, err
	}
	extendDeadlineBy(ctx, sessionsAnswer)
	return &sessionsOutput{sessionsOf(s.deps.Terminals.Terminals(ctx, sel), time.Now())}, nil
}

// selection returns what an operator means, or a refusal.
func selection(host, balancer, idle string, keys []string, limit int) (session.Selection, error) {
	sel := session.Selection{Host: host, Balancer: balancer, Keys: keys, Limit: limit}
	if idle != "" {
		var err error
		if sel.Idle, err = time.ParseDuration(idle); err != nil || sel.Idle < 0 {
			return sel, huma.Error422UnprocessableEntity(fmt.Sprintf("idle: %.32q is no time such as 10m or 1h30m", idle))
		}
	}
	if err := sel.CheckKeys(); err != nil {
		return sel, huma.Error422UnprocessableEntity("key: " + err.Error())
	}
	return sel, nil
}

func sessionsOf(l session.Listing, now time.Time) sessionsBody {
	b := sessionsBody{Sessions: []terminalBody{}, Total: l.Total, Missing: missingOf(l.Missing)} // [] rather than null in JSON
	for _, t := range l.Terminals {
		digest, _ := t.Digest.MarshalText() // never fails
		b.Sessions = append(b.Sessions, terminalBody{
			Key: t.Digest.String(), Digest: string(digest), Host: t.Host, Balancer: t.Balancer, Generation: t.Generation,
			OpenedAt: t.Opened.UTC(), Age: max(0, now.Sub(t.Opened)).Seconds(), Idle: t.Idle.Seconds(),
			In: t.Received, Out: t.Sent, Client: t.Client,
		})
	}
	return b
}

func missingOf(all []session.Missing) []missingBody {
	list := []missingBody{}
	for _, m := range all {
		list = append(list, missingBody(m))
	}
	return list
}

type findSessionsInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"16384" doc:"The token as it is in the URL, with its percent-encoding; UTF-8. lb hashes it and doesn't keep it"`
	}
}

type findSessionsOutput struct{ Body findSessionsBody }

// A findSessionsBody says where a token's terminals are. It has the token's digest, not
// the token.
type findSessionsBody struct {
	sessionsBody
	Key    string     `json:"key" doc:"The digest of the token, as the access log has it"`
	Host   string     `json:"host,omitempty" doc:"Where a request of the token would go now through this balancer; missing if no host can serve it"`
	Rule   string     `json:"rule" doc:"The rule by which it would: see /v1/explain"`
	Reason string     `json:"reason" doc:"The rule in plain words"`
	Since  *time.Time `json:"since,omitempty" doc:"When the oldest of the open terminals was opened"`
}

// findSessions says where a token's terminals are.
func (s *Server) findSessions(ctx context.Context, in *findSessionsInput) (*findSessionsOutput, error) {
	extendDeadlineBy(ctx, sessionsAnswer)
	question := new(explainInput)
	question.Body.Token = in.Body.Token
	why, err := s.explain(ctx, question)
	if err != nil {
		return nil, err
	}
	digest := s.deps.Digester.Digest([]byte(in.Body.Token))
	whole, _ := digest.MarshalText() // never fails
	found := s.deps.Terminals.Terminals(ctx, session.Selection{Keys: []string{string(whole)}, Limit: maxListed})
	b := findSessionsBody{sessionsBody: sessionsOf(found, time.Now()), Key: digest.String(), Host: why.Body.Host, Rule: why.Body.Rule, Reason: why.Body.Reason}
	for i := range b.Sessions {
		if at := b.Sessions[i].OpenedAt; b.Since == nil || at.Before(*b.Since) {
			b.Since = &at
		}
	}
	return &findSessionsOutput{b}, nil
}

type endSessionsInput struct {
	Body struct {
		Keys     []string `json:"keys,omitempty" maxItems:"1000" doc:"Those of keys whose digests begin so: 12 to 32 hexadecimal digits"`
		Host     string   `json:"host,omitempty" maxLength:"255" doc:"Those on this host"`
		Balancer string   `json:"balancer,omitempty" maxLength:"255" doc:"Those through this balancer"`
		Idle     string   `json:"idle,omitempty" maxLength:"32" doc:"Those over whose terminals, all of them, nothing was sent for so long: 10m, for example"`
		Limit    int      `json:"limit,omitempty" minimum:"1" maximum:"4000" doc:"How many terminals are ended at most, those first that were idle the longest; default 1000"`
		Reason   string   `json:"reason,omitempty" maxLength:"200" doc:"For the log"`
		By       string   `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`
	}
}

type endSessionsOutput struct{ Body endSessionsBody }

type endSessionsBody struct {
	Ended   int           `json:"ended" doc:"Terminals that were open and have been closed"`
	Left    int           `json:"left" doc:"Terminals that are meant, too, beyond the limit"`
	Missing []missingBody `json:"missing" doc:"Whose terminals may be open still, because they haven't answered"`
}

// endSessions ends sessions. It answers when their terminals have ended.
func (s *Server) endSessions(ctx context.Context, in *endSessionsInput) (*endSessionsOutput, error) {
	if in.Body.Host == "" && len(in.Body.Keys) == 0 {
		return nil, huma.Error422UnprocessableEntity("say which sessions end: those of keys, or those of a host; nothing has ended")
	}
	limit := in.Body.Limit
	if limit == 0 {
		limit = defaultListed
	}
	sel, err := selection(in.Body.Host, in.Body.Balancer, in.Body.Idle, in.Body.Keys, limit)
	if err != nil {
		return nil, err
	}
	extendDeadlineBy(ctx, sessionsAnswer)
	ending := s.deps.Terminals.EndTerminals(context.WithoutCancel(ctx), sel)
	by := in.Body.By
	if by == "" {
		by = callerOf(ctx).by
	}
	s.deps.Logger.Info().Str("by", by).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Str("host", sel.Host).
		Str("balancer", sel.Balancer).Int("keys", len(sel.Keys)).Dur("idle", sel.Idle).Int("ended", ending.Ended).Int("left", ending.Left).
		Str("reason", in.Body.Reason).Msg("an operator ended sessions")
	return &endSessionsOutput{endSessionsBody{Ended: ending.Ended, Left: ending.Left, Missing: missingOf(ending.Missing)}}, nil
}
