package proxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"tokenring/route"
)

// TestStrictHTTP2 runs the tables of frames in testdata/http2, which are what it
// means to be strict with HTTP/2, as TestStrict does with HTTP/1.1: through a
// proxy of each case's own, over TLS, between canaries, in front of a host that
// reads more strictly still.
func TestStrictHTTP2(t *testing.T) {
	t.Parallel()
	total := 0
	for file, cases := range readTables(t, "../testdata/http2/*.txt", newH2Case) {
		total += len(cases)
		for _, c := range cases {
			t.Run(file+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				newH2Trial(t, c).run()
			})
		}
	}
	if total < 260 {
		t.Errorf("only %d cases are left", total)
	}
}

// An h2Trial is one case under way.
type h2Trial struct {
	*trial
	c         *h2Case
	other     *h2wire // a neighbour
	delivered int     // how often the case was sent
}

func newH2Trial(t *testing.T, c *h2Case) *h2Trial {
	r := &h2Trial{trial: &trial{t: t, c: c.strictCase, rec: newRecorder(t, c.strictCase)}, c: c}
	r.lab = start(t, func(l *lab) {
		speaksH2(t)(l)
		if c.flags["trusted"] {
			l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
	})
	r.hosts = []*route.Host{r.rec.entry()}
	r.use()
	return r
}

func (r *h2Trial) run() {
	r.other = r.dialH2()
	for _, way := range []struct {
		name string
		cuts func([]byte) [][]byte
	}{{"at once", atOnce}, {"byte by byte", byteByByte}, {"in sevens", inSevens}} {
		if why := r.deliver(way.cuts); why != "" {
			r.t.Errorf("%s: %s", way.name, why)
		}
	}
	_ = r.other.nc.Close()
	r.stop()
	r.checkReasons()
	r.rec.finish()
	r.checkRecord()
}

// checkReasons looks for the reason of each refusal in the access log, and for none
// without a refusal. What net/http finds wrong with frames, or behind a request's
// head, it says to nobody: there may be a client that has left.
func (r *h2Trial) checkReasons() {
	refused, left := r.refusals()
	for _, status := range refused {
		if r.c.refused != "any" && status != r.c.refused {
			r.t.Errorf("logged as refused with %s, want %s", status, r.c.refused)
		}
	}
	switch {
	case r.c.refused == "" && len(refused) == 0, r.ofFrames(), r.c.refused != "" && len(refused)+left >= 3:
	default:
		r.t.Errorf("%d refusals and %d clients that have left are in the access log: %v", len(refused), left, r.entries())
	}
}

// refusals returns the status of each refusal in the access log, and how many
// clients have left.
func (r *h2Trial) refusals() (refused []string, left int) {
	for _, e := range r.entries() {
		if e["reason"] != nil {
			refused = append(refused, fmt.Sprint(e["status"]))
		} else if e["end"] == endClientGone {
			left++
		}
	}
	return refused, left
}

// ofFrames tells whether the case is one of which the access log need not tell.
func (r *h2Trial) ofFrames() bool { return strings.HasPrefix(r.t.Name(), "TestStrictHTTP2/frames/") }

// awaitRefusal waits until the access log tells of all that was refused so far. A
// request whose connection has ended before its handler began is not in the log.
func (r *h2Trial) awaitRefusal() {
	r.delivered++
	if r.c.refused == "" || r.ofFrames() {
		return
	}
	eventually(r.t, "the refusal in the access log", func() bool {
		refused, left := r.refusals()
		return len(refused)+left >= r.delivered
	})
}

// deliver sends the case's frames, cut up that way, between canaries. It says
// what went wrong, or "".
func (r *h2Trial) deliver(cuts func([]byte) [][]byte) string {
	if why := r.canaryOn(r.other); why != "" {
		return "the canary before: " + why
	}
	mark := r.rec.mark()
	w := r.dialH2()
	defer w.nc.Close()
	id := w.next()
	for _, step := range r.c.steps {
		step(w, id)
	}
	w.send(cuts)
	got := w.reply(id)
	if why := r.judge(got); why != "" {
		return why
	}
	r.rec.answered.Wait()
	requests, _ := r.rec.since(mark)
	if why := compare(requests, r.c.host, "the host"); why != "" {
		return why
	}
	r.want += len(r.c.host)
	if why := r.canaryOn(w); why != "" && (r.c.refused == "" || w.ended == "") {
		return "the canary on the same connection: " + why
	}
	r.awaitRefusal()
	if why := r.canaryOn(r.other); why != "" {
		return "the canary behind: " + why
	}
	return ""
}

// judge says how what the client got isn't what it should be, or "".
func (r *h2Trial) judge(got reply) string {
	status := got.status()
	switch {
	case r.c.refused == "":
	case r.c.refused == "any" && (status == "" || status >= "400"), r.c.refused == status:
		return ""
	default:
		return fmt.Sprintf("the client got %s, want a refusal (%s)", got, r.c.refused)
	}
	if got.final == nil || got.end != "" {
		return "the client got " + got.String()
	}
	return compare(append(got.interim, got.final), r.c.client, "the client")
}

// canaryOn sends a request that must get its own answer.
func (r *h2Trial) canaryOn(w *h2wire) string {
	path := fmt.Sprintf("/canary/%d", r.canaries+1)
	id := w.get(path)
	w.send(atOnce)
	got := w.reply(id)
	if got.status() != "" {
		r.canaries++
	}
	if got.status() != "200" || got.end != "" || got.final.body != "GET "+path {
		return "got " + got.String()
	}
	return ""
}
