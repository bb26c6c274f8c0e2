package proxy

import (
	"net/http"
	"testing"

	"tokenring/proxy/pools"
	"tokenring/proxy/routing"
)

// TestAnswersCountAtTheHostAndInThePool: what lb answers itself counts in neither.
func TestAnswersCountAtTheHostAndInThePool(t *testing.T) {
	missing := func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	api := newHost(t, "api/a1").on("/api/page", mirror(make(chan *http.Request, 2)))
	l, entry := startAPI(t, withAPI(pools.Config{}), api, newHost(t, "a").on("/ws", accept(echo)).on("/none", missing))
	l.ask(get("/api/page?token="+mark), 200)
	l.ask(get("/api/page?token="+mark), 200)
	l.ask(get("/none?token="+mark), 404)
	l.ask("GET / HTTP/1.1\r\n\r\n", 400)
	l.dial().open("/ws", mark).Close()
	l.useAPI()
	l.ask(get("/api/page?token="+mark), 503)
	eventually(t, "all answers in the counts", func() bool {
		all := l.p.Answers()
		return all["api"].ByClass == [...]uint64{0, 0, 2, 0, 0, 1} && all["api"].Timed == 3 && all["api"].Took > 0 &&
			all[routing.MainPool].ByClass == [...]uint64{0, 1, 0, 0, 1, 0} && all[routing.MainPool].Timed == 1
	})
	if got := entry.Gauges.Answers.Totals(); got.ByClass != [...]uint64{0, 0, 2, 0, 0, 0} || got.Timed != 2 {
		t.Errorf("the pool's host has %+v", got)
	}
	if got := l.hosts[0].Gauges.Answers.Totals(); got.ByClass != [...]uint64{0, 1, 0, 0, 1, 0} || got.Timed != 1 {
		t.Errorf("the main pool's host has %+v", got)
	}
}
