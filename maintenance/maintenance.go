// Package maintenance has what operators have put into maintenance: all requests, or those of
// a route. The balancers of a region tell each other, and each keeps it in a file.
package maintenance

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"tokenring/statefile"
)

// FileName is the name of the file in the state directory.
const FileName = "maintenance.json"

// The bounds of what is known, and of its texts in bytes. A balancer takes no more from peers.
const (
	maxSwitches = 1024
	maxText     = 256
)

// life is how long it is remembered that maintenance has ended: a balancer that was away for
// longer, and knows of its begin alone, has it begin anew.
const life = 30 * 24 * time.Hour

// A Switch is what operators have said last of one route.
type Switch struct {
	Route  string    `json:"route,omitempty"` // its name; "" for all requests
	On     bool      `json:"on"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// Check says what is wrong with s, nil if nothing.
func (s Switch) Check() error {
	for _, text := range []string{s.Route, s.Reason, s.By} {
		if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("a name or a reason is one line of at most %d bytes", maxText)
		}
	}
	if !statefile.ValidTime(s.At) {
		return errors.New("its time is none")
	}
	return nil
}

// beats reports whether s counts, and other doesn't: the later one does. Two of the same instant
// are told apart by the rest, so that all balancers prefer the same one.
func (s Switch) beats(other Switch) bool {
	return cmp.Or(s.At.Compare(other.At), strings.Compare(s.tie(), other.tie())) > 0
}

func (s Switch) tie() string { return fmt.Sprint(s.On) + "\x00" + s.By + "\x00" + s.Reason }

// Switches are what is in maintenance. Safe for concurrent use. Nil has nothing in maintenance.
type Switches struct {
	path string // "" if nothing is kept

	on atomic.Pointer[map[string]bool] // the routes in maintenance; nil if there are none

	mu  sync.Mutex
	all map[string]Switch // by route
}

// Open reads the file in dir. With dir "" nothing is kept. If the error wraps
// statefile.ErrCorrupt or statefile.ErrLater, the file was put aside, and the Switches can be used.
func Open(dir string) (*Switches, error) {
	s := &Switches{all: map[string]Switch{}}
	if dir == "" {
		return s, nil
	}
	s.path = filepath.Join(dir, FileName)
	return s, s.Reload()
}

// Reload reads the file once more, which another process may have written since.
func (s *Switches) Reload() error {
	if s.path == "" {
		return nil
	}
	var all []Switch
	_, err := statefile.Load(s.path, func(b []byte) (statefile.Unknown, error) {
		return statefile.Unknown{}, json.Unmarshal(b, &all)
	})
	if err != nil {
		return fmt.Errorf("read what is in maintenance: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(all)
	return nil
}

// On reports whether requests of a route are in maintenance; "" are those of no route. It takes
// no lock.
func (s *Switches) On(route string) bool {
	if s == nil {
		return false
	}
	on := s.on.Load()
	return on != nil && ((*on)[""] || (*on)[route])
}

// Set has one in force, dated now or later than what it replaces, and returns it. It returns
// when it is on disk. An error says why it isn't; it is in force all the same, unless it is wrong.
func (s *Switches) Set(one Switch, now time.Time) (Switch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.At = now.UTC().Round(0)
	if old := s.all[one.Route].At; !one.At.After(old) { // another balancer's clock is ahead
		one.At = old.Add(time.Nanosecond)
	}
	if err := one.Check(); err != nil {
		return one, err
	}
	s.take([]Switch{one})
	return one, s.write()
}

// Merge takes what another balancer knows, where that is later. It reports whether that has
// changed anything. An error says why that isn't on disk.
func (s *Switches) Merge(others []Switch) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.take(others) {
		return false, nil
	}
	return true, s.write()
}

// All returns what is known, also of what has ended, by route.
func (s *Switches) All() []Switch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list()
}

// Active returns what is in maintenance, by route: all requests first.
func (s *Switches) Active() []Switch {
	return slices.DeleteFunc(s.All(), func(one Switch) bool { return !one.On })
}

// Alarms says what is in maintenance, a sentence each.
func (s *Switches) Alarms() (alarms []string) {
	for _, one := range s.Active() {
		what, command := "all requests get", "lb ctl maintenance off"
		if one.Route != "" {
			what, command = "requests of the route "+one.Route+" get", command+" --route "+one.Route
		}
		text := fmt.Sprintf("%s the maintenance page, since %s", what, one.At.Format(time.RFC3339))
		if one.By != "" {
			text += ", by " + one.By
		}
		if one.Reason != "" {
			text += ": " + one.Reason
		}
		alarms = append(alarms, text+"; to end it: "+command)
	}
	return alarms
}

// take has those in force that beat what is known. It reports whether there are any. The caller
// holds mu, or is alone.
func (s *Switches) take(some []Switch) (changed bool) {
	for _, one := range some {
		old, known := s.all[one.Route]
		if one.Check() != nil || known && !one.beats(old) || !known && len(s.all) >= maxSwitches {
			continue
		}
		s.all[one.Route], changed = one, true
	}
	if !changed {
		return false
	}
	on := map[string]bool{}
	for route, one := range s.all {
		if one.On {
			on[route] = true
		}
	}
	if len(on) == 0 {
		s.on.Store(nil)
		return true
	}
	s.on.Store(&on)
	return true
}

// write writes the file. The caller holds mu.
func (s *Switches) write() error {
	for route, one := range s.all {
		if !one.On && time.Since(one.At) > life {
			delete(s.all, route)
		}
	}
	if s.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(s.list(), "", " ")
	if err == nil {
		err = statefile.Write(s.path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("maintenance is in force but not on disk, so that a restart may lose it: %w", err)
	}
	return nil
}

// list returns all by route. The caller holds mu.
func (s *Switches) list() []Switch {
	list := make([]Switch, 0, len(s.all))
	for _, one := range s.all {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Switch) int { return strings.Compare(a.Route, b.Route) })
	return list
}
