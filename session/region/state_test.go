package region

import (
	"testing"
	"time"

	"tokenring/session"
)

func TestAnotherProcessTakesOver(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		begin(r, "lb-2", on("k", "ide-1", 3), on("ends", "ide-2", 1))
		begin(r, "lb-3", on("lost", "ide-3", 3)).End()
		r.Used(digest("u"), "ide-2", time.Now())
		time.Sleep(linger / 2)
		state := r.State(time.Now())
		next := New(linger, session.New())
		next.Used(digest("old"), "ide-9", time.Now())
		next.Restore(state)
		wants(t, next, "old", "")
		wants(t, next, "k", "ide-1 lingers lb-2")
		wants(t, next, "lost", "ide-3 lingers lb-3")
		wants(t, next, "u", "ide-2 lingers")
		time.Sleep(linger/2 + 2*time.Second)
		wants(t, next, "u", "")
		wants(t, next, "lost", "")
		begin(next, "lb-2", on("k", "ide-1", 3))
		wants(t, next, "k", "ide-1 live lb-2")
		time.Sleep(linger)
		wants(t, next, "ends", "ide-2 lingers lb-2")
		next.Clear()
		counted(t, next)
		if _, ok := next.Host(digest("k"), time.Now()); ok || next.keys.Load() != 0 || next.Terminals("ide-1") != 0 {
			t.Error("something is left")
		}
	})
}

func TestAStateThatMakesNoSense(t *testing.T) {
	entry := make([]byte, entrySize)
	for name, s := range map[string]State{
		"no such host":  {Peers: []string{"lb-2"}, Keys: entry},
		"no such peer":  {Hosts: []string{"ide-1"}, Keys: entry},
		"cut short":     {Hosts: []string{"ide-1"}, Peers: []string{"lb-2"}, Keys: entry[:entrySize-1]},
		"no keys":       {Hosts: []string{"ide-1"}, Peers: []string{"lb-2"}},
		"of the future": {At: time.Now().Add(time.Hour), Hosts: []string{"ide-1"}, Peers: []string{"lb-2"}},
	} {
		r := New(linger, session.New())
		r.Restore(s)
		if r.keys.Load() != 0 {
			t.Errorf("%s: %d keys", name, r.keys.Load())
		}
	}
}
