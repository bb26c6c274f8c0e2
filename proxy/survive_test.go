package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestFaultOfOursEndsOneConnectionOnly(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Timeouts.Shutdown = 100 * time.Millisecond }, newHost(t, "a").on("/cut", says("", false)).on("/ws", accept(echo)))
	neighbour := l.dial().open("/ws", mark)
	neighbour.ping()
	var nobody map[string]int
	l.p.opt.Suspect = func(host string) { nobody[host]++ } // writes to a nil map
	l.dial().send(get("/cut?token=" + mark)).expectEnd()
	neighbour.ping()
	l.ask(get("/fine"), 200)
	eventually(t, "the fault is counted", func() bool { return testutil.ToFloat64(l.p.opt.Metrics.panics) == 1 })
	l.stop()
	if log := l.log.String(); !strings.Contains(log, "nil map") || strings.Contains(log, mark) {
		t.Errorf("the log should say what went wrong, without the token:\n%s", log)
	}
}
