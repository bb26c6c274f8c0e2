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

	"tokenring/route"
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

// TestAddressChangesAreCountedByReason: a host that is listed announces nothing.
func TestAddressChangesAreCountedByReason(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	r.change("ide-1", func(h *route.Host) {
		h.Origin, h.DNSName, h.AddressChanges.Name = route.OriginConfig, "ide-1.internal:4000", 4
	})
	r.change("ide-2", func(h *route.Host) { h.Origin = route.OriginConfig })
	r.put([]*route.Host{r.Snapshot().Host("ide-1"), r.Snapshot().Host("ide-2"), r.Snapshot().Host("ide-3")}, func(*route.Snapshot) {})
	var got []string
	for line := range strings.Lines(ask(s, "GET", "/metrics", "").Body.String()) {
		if strings.HasPrefix(line, "lb_host_address_changes_total{") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`lb_host_address_changes_total{host="ide-1",reason="dns"} 4`,
		`lb_host_address_changes_total{host="ide-3",reason="gossip"} 1`,
		`lb_host_address_changes_total{host="ide-3",reason="service"} 2`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}

func TestSeriesVanishWithTheHost(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	if !strings.Contains(ask(s, "GET", "/metrics", "").Body.String(), `host="ide-2"`) {
		t.Fatal("no series of ide-2 at first")
	}
	r.put([]*route.Host{fakeHost(1)}, func(*route.Snapshot) {})
	if got := ask(s, "GET", "/metrics", "").Body.String(); strings.Contains(got, `host="ide-2"`) || !strings.Contains(got, `host="ide-1"`) {
		t.Errorf("after ide-2 has gone: %s", got)
	}
}

// Two certificates for one name, as with ECDSA and RSA, must not make two series
// of the same labels: that would make the whole scrape fail.
func TestTheFirstCertificateToEndCounts(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(newRegion(), nil, func() []tlsterm.Expiry {
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
