package peers

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

func TestOnlyNewsIsTaken(t *testing.T) {
	e := NewExchange(zerolog.Nop())
	ours := must(t, override("a", route.Drain, 5), override("b", route.Maint, 5))
	e.Hold(ours...)
	e.Receive(e.State(1 << 30))
	e.Receive(EncodeMessage(must(t, override("a", route.Ready, 4))...))
	if len(e.Received) != 0 || len(e.Take()) != 0 {
		t.Error("there is news in what is known")
	}
	e.Receive(EncodeMessage(must(t, override("a", route.Ready, 6), override("c", route.Drain, 1))...))
	e.Receive(EncodeMessage(must(t, override("a", route.Maint, 7))...))
	if len(e.Received) != 1 {
		t.Error("no note of news")
	}
	taken := e.Take()
	if len(taken) != 2 || taken[0].Topic.Key != "a" || !taken[0].value.(Override).At.Equal(at(7)) || taken[1].Topic.Key != "c" {
		t.Errorf("took %s, want the last word on a, and c", EncodeMessage(taken...))
	}
	if again := e.Take(); len(again) != 0 {
		t.Errorf("took %v once more", again)
	}
}

func TestADroppedTopicIsToldNoMore(t *testing.T) {
	e := NewExchange(zerolog.Nop())
	e.Hold(must(t, override("a", route.Drain, 5), override("b", route.Maint, 5))...)
	e.Drop(Topic{KindState, "a"})
	if got := string(e.State(1 << 30)); strings.Contains(got, `"a"`) || !strings.Contains(got, `"b"`) {
		t.Errorf("told %s", got)
	}
	e.Receive(EncodeMessage(must(t, override("a", route.Drain, 5))...))
	if got := e.Take(); len(got) != 1 {
		t.Errorf("told of it again, took %v", got)
	}
}

func TestNoMoreWaitsThanThereMayBe(t *testing.T) {
	var log bytes.Buffer
	e := NewExchange(zerolog.New(&log))
	var all []Register
	for i := range limits[slowStarts] + 1 {
		all = append(all, mustStart(t, SlowStart{Host: fmt.Sprintf("ide-%d", i), Number: 1, Since: at(0), Lasts: time.Minute})...)
	}
	e.Receive(EncodeMessage(append(all, must(t, override("a", route.Drain, 0))...)...))
	if got := len(e.Take()); got != limits[slowStarts]+1 {
		t.Errorf("took %d, want %d slow starts and the override", got, limits[slowStarts])
	}
	if !strings.Contains(log.String(), "others wait to be taken in") {
		t.Errorf("left out without a word: %s", log.String())
	}
	e.Receive(EncodeMessage(all[len(all)-1]))
	if len(e.Take()) != 1 {
		t.Error("none is taken although none waits any more")
	}
}

func TestReceiveKeepsNoPartOfTheMessage(t *testing.T) {
	e := NewExchange(zerolog.Nop())
	message := []byte(`{"version":1,"registers":[{"kind":"vote","key":"ide-1","up":true}],"decisions":[{"host":"a","state":"drain","at":"2026-01-01T00:00:00Z","origin":"lb-2","x":1}]}`)
	want := strings.Clone(string(message))
	e.Receive(message)
	clear(message)
	got := EncodeMessage(e.Take()...)
	for _, entry := range []string{`{"kind":"vote","key":"ide-1","up":true}`, `{"host":"a","state":"drain","at":"2026-01-01T00:00:00Z","origin":"lb-2","x":1}`} {
		if !strings.Contains(string(got), entry) {
			t.Errorf("got %s of %s", got, want)
		}
	}
}

// TestPeersLearnInPartsWhatDoesNotFitIntoOneExchange: they refuse a state that is larger.
func TestPeersLearnInPartsWhatDoesNotFitIntoOneExchange(t *testing.T) {
	var log bytes.Buffer
	e, peer := NewExchange(zerolog.New(&log)), NewSet(nil)
	for i := range 500 {
		e.Hold(must(t, override(fmt.Sprintf("ide-%03d", i), route.Drain, 0))...)
	}
	all := e.State(1 << 30)
	if log.Len() > 0 {
		t.Errorf("logged of what fits: %s", &log)
	}
	for _, limit := range []int{len(all) - 1, len(all) / 2, len(all) / 10, 1000, 100} {
		if got := len(e.State(limit)); got > limit {
			t.Errorf("%d bytes, at most %d are possible", got, limit)
		}
	}
	for exchanges := 0; peer.Len() < 500; exchanges++ {
		m, err := DecodeMessage(e.State(len(all)/3), nil)
		if err != nil || len(m.Registers) < 100 || exchanges > 1000 {
			t.Fatalf("exchange %d: %d registers, %v; the peer knows %d", exchanges, len(m.Registers), err, peer.Len())
		}
		for _, r := range m.Registers {
			peer.Merge(r, at(0))
		}
	}
	if !strings.Contains(log.String(), "in parts") {
		t.Errorf("logged %q", log.String())
	}
}

// TestARefusedEntryIsNamed in whatever list it is.
func TestARefusedEntryIsNamed(t *testing.T) {
	var log bytes.Buffer
	e := NewExchange(zerolog.New(&log))
	e.Receive([]byte(`{"version":1,"decisions":[{"host":"ide-1"}],"registers":[{"kind":"host-key","key":"ide-2"}]}`))
	for _, host := range []string{"ide-1", "ide-2"} {
		if !strings.Contains(log.String(), `"host":"`+host+`"`) {
			t.Errorf("%s isn't named: %s", host, &log)
		}
	}
}
