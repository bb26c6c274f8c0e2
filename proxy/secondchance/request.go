package secondchance

import (
	"slices"
	"strings"

	"tokenring/proxy/localreply"
	"tokenring/proxy/metrics"
)

// A Request is the second chance of a request that a host has given away. A nil *Request is
// that of a request that no host has given away. It isn't safe for concurrent use.
type Request struct {
	Result string // how it ends: a constant of package metrics
	Last   bool   // the client's connection was to end with the request before that host was asked
	Fenced bool   // the host that has just given it away is fenced: no other host may serve it
	Due    bool   // a host has just given the request away: whether it gets a chance is still to be decided

	tried []string // hosts that have given it away, or that couldn't be asked
	given []string // those that have given it away, in order
}

// GivenAway returns the chance of a request that a host has given away just now. r is its
// chance so far. last is for Last.
func (r *Request) GivenAway(host string, last bool) *Request {
	if r == nil {
		r = &Request{}
	}
	r.Result, r.Last, r.Due = metrics.ChanceFailed, last, true
	r.tried, r.given = append(r.tried, host), append(r.given, host)
	return r
}

// Try says that a host has been tried, though it couldn't be asked.
func (r *Request) Try(host string) {
	if !r.Tried(host) {
		r.tried = append(r.tried, host)
	}
}

// Tried reports whether a host has been tried.
func (r *Request) Tried(host string) bool { return r != nil && slices.Contains(r.tried, host) }

// TriedHosts returns the names of the hosts that have been tried.
func (r *Request) TriedHosts() []string { return r.tried }

// Given returns how many hosts have given the request away.
func (r *Request) Given() int { return len(r.given) }

// GaveAway returns the names of the hosts that have given the request away, in order,
// separated by commas; nil if none has.
func (r *Request) GaveAway() *string {
	if r == nil {
		return nil
	}
	names := strings.Join(r.given, ",")
	return &names
}

// Page returns the answer to a request that gets no chance, or none any more.
func (r *Request) Page() localreply.Page {
	return localreply.Page{Status: 503, Detail: details[r.Result] + "; it is worth trying again"}
}

// details say why there is no chance, by the result.
var details = map[string]string{
	metrics.ChanceExhausted: "no host that was asked holds this session",
	metrics.ChanceLimited:   "the host has given too many sessions away",
	metrics.ChanceFenced:    "the host of this session has closed its terminals, because most balancers can't reach it",
	metrics.ChanceLive:      "this session is live on a host that doesn't serve this request",
	metrics.ChanceBody:      "the host doesn't hold this session, and the request's body can't be sent again",
	metrics.ChanceBegun:     "the host doesn't hold this session, and has begun to answer",
}
