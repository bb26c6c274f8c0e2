package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/proxy/metrics"
)

// TestARequestThatIsGivenAwayAfterARetirementIsPassedOn: the process that chooses hosts
// now also knows who has taken what.
func TestARequestThatIsGivenAwayAfterARetirementIsPassedOn(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		asked, letGo := make(chan bool), make(chan bool)
		l := startChances(t, all(kind, fronts, chances(nil)))
		l.order[0].on("/hold", func(w *wire, _ *http.Request) bool {
			asked <- true
			<-letGo
			w.send(givingAway)
			return true
		})
		l.order[0].on("/x", givesAway)
		other := l.tokens("a", 2)[1]
		taker, _, _ := strings.Cut(l.talk(dial, "/x", other), " ")
		w := dial(l.lab).send(get("/hold?token=" + l.token))
		<-asked
		r := l.retire()
		letGo <- true
		young := r.begin(nil, l.order...)
		young.p.RestoreTakers(through(t, l.p.Takers()))
		<-asked
		letGo <- true
		if a := w.want(200); a.body != l.order[1].name+" GET /hold" {
			t.Errorf("got %q", a.body)
		}
		if a := w.send(get("/y?token=" + other)).want(200); a.body != taker+" GET /y" {
			t.Errorf("got %q, want it of %s", a.body, taker)
		}
		young.wantResults(map[string]float64{metrics.ChanceTaken: 1})
		l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
		w.Close()
		l.outlived()
	})
}

// TestAnHTTP2RequestThatIsGivenAwayAfterARetirementGetsItsSecondChance: it can't be passed
// on.
func TestAnHTTP2RequestThatIsGivenAwayAfterARetirementGetsItsSecondChance(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	l := startChances(t, all(speaksH2(t), fronts, chances(nil)))
	l.order[0].on("/hold", func(w *wire, _ *http.Request) bool {
		asked <- true
		<-letGo
		w.send(givingAway)
		return true
	})
	c := l.h2client()
	got := make(chan string, 1)
	go func() {
		resp, err := c.Get("https://" + l.addr + "/hold?token=" + l.token)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()
	<-asked
	r := l.retire()
	letGo <- true
	if body := <-got; body != l.order[1].name+" GET /hold" {
		t.Errorf("got %q", body)
	}
	r.begin(nil, l.order...)
	c.CloseIdleConnections()
	l.outlived()
}
