package admin

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/pool"
	"tokenring/tlsterm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMetricsAreThoseOfTheSnapshot(t *testing.T) {
	var got string
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		time.Sleep(time.Until(aDay.Add(90 * time.Second)))
		got = ask(s, "GET", "/metrics", "").Body.String()
	})
	golden := filepath.Join("..", "testdata", "admin", "metrics.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}

func TestSeriesVanishWithTheHost(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	if !strings.Contains(ask(s, "GET", "/metrics", "").Body.String(), `host="ide-2"`) {
		t.Fatal("no series of ide-2 at first")
	}
	r.put([]*pool.Host{fakeHost(1)}, func(*pool.Snapshot) {})
	if got := ask(s, "GET", "/metrics", "").Body.String(); strings.Contains(got, `host="ide-2"`) || !strings.Contains(got, `host="ide-1"`) {
		t.Errorf("after ide-2 has gone: %s", got)
	}
}

// Two certificates for one name, as with ECDSA and RSA, must not make two series
// of the same labels: that would spoil the whole scrape.
func TestTheFirstCertificateToEndCounts(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(newRegion(), func() []tlsterm.Expiry {
		return []tlsterm.Expiry{{Names: []string{"a", "b"}, NotAfter: late}, {Names: []string{"a"}, NotAfter: early}, {Names: []string{"c"}}}
	}))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "lb_certificate_not_after_seconds" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"a": 1000, "b": 2000, "c": 0}, got); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}
