package edge

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/session"
)

// explain says where a token goes now, without using it.
func (b *pairEdge) explain(token string) answer {
	b.t.Helper()
	return b.api("POST", "/v1/explain", `{"token":"`+token+`"}`)
}

// lingering waits until as many keys linger.
func (b *pairEdge) lingering(n int) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); b.proxy.Region().Count() != n; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%d keys linger, want %d", b.proxy.Region().Count(), n)
		}
	}
}

// TestATokenStaysForTheLingerTime drains a host: a token that was used there lately stays, and
// goes where the ring says when it has been unused for long enough.
func TestATokenStaysForTheLingerTime(t *testing.T) {
	t.Parallel()
	const linger = 3 * time.Second
	b := startPair(t, "sessions: {linger: "+linger.String()+"}", "")
	tokens := b.tokens(2)
	first := time.Now()
	b.page(tokens[0])
	b.lingering(1)
	b.api("PATCH", "/v1/hosts/a", `{"state":"drain"}`)
	if got := b.explain(tokens[1]); got.Host != "b" {
		t.Errorf("a token that is new: %+v", got)
	}
	used := time.Now()
	inTime := func(since time.Time) bool { return time.Since(since) < linger } // this machine may be slow
	if got := b.page(tokens[0]); got == "a" {
		if got := b.explain(tokens[0]); (got.Host != "a" || got.Rule != "lingering") && inTime(used) {
			t.Errorf("just used: %+v", got)
		}
	} else if inTime(first) {
		t.Errorf("it is on %s", got)
	}
	for end := time.Now().Add(time.Minute); b.explain(tokens[0]).Host != "b"; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: %+v", b.explain(tokens[0]))
		}
	}
	if got := b.page(tokens[0]); got != "b" {
		t.Errorf("afterwards it is on %s", got)
	}
}

// TestWhatAnotherBalancerHasIsSeen in metrics and alarms, and by the requests for it.
func TestWhatAnotherBalancerHasIsSeen(t *testing.T) {
	t.Parallel()
	b := startPair(t, "", "")
	token := b.tokens(1)[0]
	s, other := b.proxy.Region().Begin("lb-2"), b.proxy.Region().Begin("lb-3")
	report := session.Report{Digest: b.digester.Digest([]byte(token)), Host: "b", Hashed: true, Terminals: 2}
	s.Reports([]session.Report{report})
	if got := b.page(token); got != "b" {
		t.Errorf("it is on %s", got)
	}
	if got := b.explain(token); got.Rule != "session-at-peer" {
		t.Errorf("got %+v", got)
	}
	report.Host = "a"
	other.Reports([]session.Report{report})
	want := `
# HELP lb_sessions_at_peers Tokens with live sessions through other balancers that have a stream to this one, by balancer.
# TYPE lb_sessions_at_peers gauge
lb_sessions_at_peers{peer="lb-2"} 1
lb_sessions_at_peers{peer="lb-3"} 1
# HELP lb_sessions_lingering Tokens that keep their hosts for a while after their last use, those of balancers that have vanished among them.
# TYPE lb_sessions_lingering gauge
lb_sessions_lingering 0
# HELP lb_sessions_split Tokens that have live sessions on two hosts at once, through different balancers.
# TYPE lb_sessions_split gauge
lb_sessions_split 1
# HELP lb_sessions_split_total How often a token has begun to have live sessions on two hosts at once.
# TYPE lb_sessions_split_total counter
lb_sessions_split_total 1
`
	reg := prometheus.NewRegistry()
	reg.MustRegister(regionCollector{b.proxy.Region()})
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if all := strings.Join(b.problems(), "\n"); !strings.Contains(all, report.Digest.String()+" on b (lb-2) and a (lb-3)") || strings.Contains(all, token) {
		t.Errorf("the alarms are %q", all)
	}
}
