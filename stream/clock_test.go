package stream

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// noon is a time that a clock can show.
var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestTheCommonTimeIsTheMedianOfTheClocks(t *testing.T) {
	const hour = time.Hour
	for what, row := range map[string]struct {
		own   time.Duration // after noon
		peers []time.Duration
		want  time.Duration
	}{
		"alone":                           {3, nil, 3},
		"one of three is ahead":           {hour, []time.Duration{0, time.Second}, time.Second},
		"one of three is behind":          {-hour, []time.Duration{0, time.Second}, 0},
		"a peer is ahead":                 {0, []time.Duration{time.Second, 80000 * hour}, time.Second},
		"of two this one is ahead":        {hour, []time.Duration{0}, 0},
		"of two the other one is ahead":   {0, []time.Duration{hour}, 0},
		"this clock was never set":        {-400000 * hour, []time.Duration{0}, 0},
		"the other clock was never set":   {0, []time.Duration{-400000 * hour}, 0},
		"the other clock can't be right":  {-hour, []time.Duration{0, 2000000 * hour}, -hour},
		"no clock was set":                {-400000 * hour, []time.Duration{-300000 * hour}, -400000 * hour},
		"an even number, two in a minute": {0, []time.Duration{time.Second, time.Minute, -hour}, 0},
	} {
		var peers []time.Time
		for _, after := range row.peers {
			peers = append(peers, noon.Add(after))
		}
		if got := commonTime(noon.Add(row.own), peers...).Sub(noon); got != row.want {
			t.Errorf("%s: got %v after noon, want %v", what, got, row.want)
		}
	}
}

func TestAnAcknowledgementTellsTheTime(t *testing.T) {
	for what, row := range map[string]struct {
		payload []byte
		number  uint64
		shown   time.Time
	}{
		"with the time":              {appendTaken(nil, 300, noon), 300, noon},
		"of an earlier version":      {appendNumber(nil, 300), 300, time.UnixMicro(0)},
		"of a clock that is too low": {appendTaken(nil, 7, time.Unix(-5, 0)), 7, time.UnixMicro(0)},
		"of a later version":         {append(appendTaken(nil, 7, noon), 1, 2, 3), 7, noon},
	} {
		number, shown, err := readTaken(row.payload)
		if err != nil || number != row.number || !time.UnixMicro(shown).Equal(row.shown) {
			t.Errorf("%s: got %d, %s, %v; want %d, %s", what, number, time.UnixMicro(shown), err, row.number, row.shown)
		}
	}
	for _, payload := range [][]byte{nil, {200}, {5, 200}} {
		if _, _, err := readTaken(payload); err == nil {
			t.Errorf("% x: no error", payload)
		}
	}
}

func TestAClockIsReadFromPreciseAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := time.Now()
		var c peerClock
		if c = c.read(0, sent, sent); c.known() {
			t.Error("a peer that tells no time has told one")
		}
		c = c.read(noon.UnixMicro(), sent, sent.Add(2*time.Second))
		if got := c.now().Sub(noon); got != -time.Second {
			t.Errorf("sent now, acknowledged in 2 s: it shows noon %v, want noon -1s", got)
		}
		c = c.read(noon.UnixMicro(), sent, sent.Add(10*time.Millisecond))
		slow := c.read(noon.Add(time.Hour).UnixMicro(), sent, sent.Add(2*time.Second))
		time.Sleep(time.Minute)
		for _, clock := range []peerClock{c, slow} {
			if got := clock.now().Sub(noon); got != time.Minute-5*time.Millisecond {
				t.Errorf("a minute later it shows noon + %v", got)
			}
		}
	})
}

// TestBalancersDateByOneTimeAlsoWhenTheyAreCutOff: three balancers, one of which lives an hour ahead. The
// clock of another one is set while it is alone.
func TestBalancersDateByOneTimeAlsoWhenTheyAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{listeners: map[string]*listener{}}
		began := time.Now()
		ahead := map[string]*atomic.Int64{"a": {}, "b": {}, "c": {}}
		ahead["b"].Store(int64(time.Hour))
		var all []*node
		for _, name := range []string{"a", "b", "c"} {
			one := n.node(t, name, func(o *Options) {
				o.Clock = func() time.Time { return noon.Add(time.Since(began) + time.Duration(ahead[name].Load())) }
			})
			defer func() { one.stop() }()
			all = append(all, one)
		}
		if _, compared := all[0].hub.CommonTime(); compared {
			t.Error("a clock counts as compared before a peer has told its time")
		}
		for _, one := range all {
			one.start(all...)
		}
		time.Sleep(5 * time.Second)
		want := func(when string) {
			t.Helper()
			for _, one := range all {
				behind, compared := one.hub.CommonTime()
				if got := behind + time.Duration(ahead[one.self.Name].Load()); !compared || got.Abs() > 10*time.Millisecond {
					t.Errorf("%s: by %s, the common time is right but for %v, compared=%v", when, one.self.Name, got, compared)
				}
			}
		}
		want("while they are connected")
		n.cut.Store(true)
		time.Sleep(time.Hour)
		want("in a partition")
		ahead["a"].Store(int64(-30 * time.Minute))
		want("in a partition, a clock was set")
	})
}
