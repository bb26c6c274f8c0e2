package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"
)

// nameServer answers by UDP and TCP with the records of a zone file, and returns what connects to it.
func nameServer(t *testing.T, truncates bool, records ...string) func(ctx context.Context, network, address string) (net.Conn, error) {
	t.Helper()
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && truncates {
			m.Truncated = true
			_ = w.WriteMsg(m)
			return
		}
		for _, text := range records {
			r, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			if rt := r.Header().Rrtype; rt == q.Question[0].Qtype || rt == dns.TypeCNAME {
				m.Answer = append(m.Answer, r)
			}
		}
		_ = w.WriteMsg(m)
	})
	packets, stream := listenBoth(t)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: stream, Handler: answer}} {
		done := make(chan struct{})
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, packets.LocalAddr().String())
	}
}

// listenBoth listens by UDP and TCP at one port.
func listenBoth(t *testing.T) (packets net.PacketConn, stream net.Listener) {
	t.Helper()
	for range 100 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if stream, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, stream
		}
		packets.Close() // another program has the port of TCP
	}
	t.Fatal("no port is free")
	return nil, nil
}

func TestTheLeastTTLOfAnAnswerCounts(t *testing.T) {
	for name, c := range map[string]struct {
		truncates bool
		records   []string
		want      string
	}{
		"one address":         {false, []string{"api.test. 30 IN A 192.0.2.1"}, "[192.0.2.1] 30s"},
		"both families":       {false, []string{"api.test. 30 IN A 192.0.2.1", "api.test. 20 IN AAAA 2001:db8::1"}, "[192.0.2.1 2001:db8::1] 20s"},
		"several":             {false, []string{"api.test. 30 IN A 192.0.2.1", "api.test. 10 IN A 192.0.2.2"}, "[192.0.2.1 192.0.2.2] 10s"},
		"behind an alias":     {false, []string{"api.test. 5 IN CNAME b.test.", "b.test. 30 IN A 192.0.2.1"}, "[192.0.2.1] 5s"},
		"a TTL of 0":          {false, []string{"api.test. 0 IN A 192.0.2.1"}, "[192.0.2.1] 0s"},
		"none":                {false, nil, "[] 0s no such host"},
		"by TCP, if too long": {true, []string{"api.test. 30 IN A 192.0.2.1"}, "[192.0.2.1] 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			all, ttl, err := system(nameServer(t, c.truncates, c.records...))(ctx, "api.test.")
			slices.SortFunc(all, netip.Addr.Compare)
			got := fmt.Sprint(usableOf(all), " ", ttl)
			if err != nil {
				got += " " + err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
			}
			if got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

// TestANameIsLookedUpWhenItsAnswerIsOld: not before, and within a tenth of the time afterwards.
func TestANameIsLookedUpWhenItsAnswerIsOld(t *testing.T) {
	for _, c := range []struct{ ttl, from, to time.Duration }{
		{0, lookupEvery * 9 / 10, lookupEvery * 11 / 10}, // not known
		{30 * time.Second, 30 * time.Second, 33 * time.Second},
		{time.Millisecond, time.Second, 1100 * time.Millisecond},
		{24 * time.Hour, latest, latest * 11 / 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			var times []time.Time
			done := make(chan struct{})
			go func() {
				defer close(done)
				follow(ctx, func(context.Context, string) ([]netip.Addr, time.Duration, error) {
					if times = append(times, time.Now()); len(times) == 4 {
						stop()
					}
					return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, c.ttl, nil
				}, "api.test", zerolog.Nop(), func([]netip.Addr) {})
			}()
			<-done
			for i := 1; i < len(times); i++ {
				if after := times[i].Sub(times[i-1]); after < c.from || after > c.to {
					t.Errorf("TTL %v: looked up after %v", c.ttl, after)
				}
			}
		})
	}
}

// TestWhatIsNoMessageHasNoTTL: bytes of strangers.
func TestWhatIsNoMessageHasNoTTL(t *testing.T) {
	query := new(dns.Msg)
	query.SetQuestion("a.", dns.TypeA)
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{nil, {0, 40}, []byte("not a message, but long enough"), wire} {
		if ttl, ok := ttlOf(b); ok {
			t.Errorf("% x: %v", b, ttl)
		}
	}
}
