package pool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Decision is what an operator wants of one host: its state, its weight, or
// both at once. They are remembered apart, so that a later word about the one
// leaves the other as it is.
type Decision struct {
	Host   string    `json:"host"`
	State  State     `json:"state,omitempty"`  // "" leaves it as it is
	Weight *int      `json:"weight,omitempty"` // 0..256 or OwnWeight; nil leaves it as it is
	Reason string    `json:"reason,omitempty"` // at most 200 bytes of UTF-8
	By     string    `json:"by,omitempty"`     // at most 64 bytes of UTF-8
	Epoch  uint32    `json:"epoch,omitempty"`  // set by Decide: orders decisions before At does, see registers.date
	At     time.Time `json:"at"`               // set by Decide
	Origin string    `json:"origin"`           // the balancer that was told; set by Decide

	// Unknown is a JSON object of what a later version has added, "" for nothing.
	Unknown string `json:"-"`
}

var decisionFields = fieldsOf[Decision]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (d *Decision) UnmarshalJSON(b []byte) (err error) {
	type plain Decision
	if err = json.Unmarshal(b, (*plain)(d)); err == nil {
		d.Unknown, err = unknownFields(b, decisionFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (d Decision) MarshalJSON() ([]byte, error) {
	type plain Decision
	return withUnknown(plain(d), d.Unknown)
}

// OwnWeight, as the Weight of a Decision, gives a host back the weight that it
// announces or has in the config file.
const OwnWeight = -1

// Bounds of a decision. One fits into a gossip packet, all fit into a state exchange.
// One with many unknown fields may not fit, and waits for the next state exchange.
const (
	maxReason    = 200
	maxBy        = 64
	maxDecisions = 8192
)

// The bounds of Decision.At: inside, it survives JSON and arithmetic.
var (
	minAt = time.Unix(0, 0)
	maxAt = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// check says what is wrong with d.
func (d Decision) check() error {
	if err := CheckName(d.Host); err != nil {
		return err
	}
	if err := CheckName(d.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if d.At.Before(minAt) || d.At.After(maxAt) {
		return fmt.Errorf("it is dated %s: the clock of %s is wrong", d.At.UTC().Format(time.RFC3339), d.Origin)
	}
	return cmp.Or(d.checkWish(), d.checkWords(), checkUnknown(d.Unknown))
}

// checkWish says what is wrong with what the operator wants.
func (d Decision) checkWish() error {
	switch {
	case d.State == "" && d.Weight == nil:
		return errors.New("neither a state nor a weight is decided")
	case d.State != "" && !d.State.Valid():
		return fmt.Errorf("there is no state %.20q: ready, drain, maint", string(d.State))
	case d.Weight != nil && *d.Weight != OwnWeight && (*d.Weight < 0 || *d.Weight > maxWeight):
		return fmt.Errorf("the weight %d is not in 0..%d", *d.Weight, maxWeight)
	}
	return nil
}

// checkWords says what is wrong with what the operator wrote.
func (d Decision) checkWords() error {
	if len(d.Reason) > maxReason {
		return fmt.Errorf("the reason has %d bytes, at most %d are possible", len(d.Reason), maxReason)
	}
	for _, text := range []string{d.Reason, d.By} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, steers) {
			return errors.New("the reason and the operator's name must be UTF-8 without control characters")
		}
	}
	if len(d.By) > maxBy {
		return fmt.Errorf("the operator's name has %d bytes, at most %d are possible", len(d.By), maxBy)
	}
	return nil
}

// steers reports whether a character does something else than be shown: ends lines,
// moves a terminal's cursor, or turns the direction in which others are read.
func steers(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// parts returns d cut into decisions about one thing each.
func (d Decision) parts() []Decision {
	if d.State == "" || d.Weight == nil {
		return []Decision{d}
	}
	state, weight := d, d
	state.Weight, weight.State = nil, ""
	return []Decision{state, weight}
}

// A topic is what one register is about.
type topic struct {
	host string
	what aspect
}

// An aspect is what of a host has a register of its own.
type aspect string

const (
	aboutState  aspect = "state"
	aboutWeight aspect = "weight"
	aboutWarmUp aspect = "warm-up" // no decision: see warmUp
)

// topic returns what d, which is one part, is about.
func (d Decision) topic() topic {
	if d.Weight != nil {
		return topic{d.Host, aboutWeight}
	}
	return topic{d.Host, aboutState}
}

// compareTime orders decisions by when they were made.
func (d Decision) compareTime(e Decision) int {
	return cmp.Or(cmp.Compare(d.Epoch, e.Epoch), d.At.Compare(e.At))
}

// compare orders decisions on one topic: the later wins, and of two at the same
// instant the greater by the other fields, so that every balancer prefers the
// same one.
func (d Decision) compare(e Decision) int {
	return cmp.Or(
		d.compareTime(e),
		cmp.Compare(d.Origin, e.Origin),
		cmp.Compare(d.State, e.State),
		cmp.Compare(d.weight(), e.weight()),
		cmp.Compare(d.Reason, e.Reason),
		cmp.Compare(d.By, e.By),
		cmp.Compare(d.Unknown, e.Unknown),
	)
}

// weight returns the weight that d decides, OwnWeight if it decides none.
func (d Decision) weight() int {
	if d.Weight == nil {
		return OwnWeight
	}
	return *d.Weight
}

// registers hold the last decision on each topic: last-writer-wins registers,
// whose merge is commutative, associative and idempotent.
type registers map[topic]Decision

// merge takes d into account and reports whether that changed anything. It
// ignores what doesn't pass check.
func (r registers) merge(d Decision) (changed bool) {
	if d.check() != nil {
		return false
	}
	d.At = d.At.UTC().Round(0)
	for _, part := range d.parts() {
		known, ok := r[part.topic()]
		if !ok || part.compare(known) > 0 {
			r[part.topic()] = part
			changed = true
		}
	}
	return changed
}

// prune drops the oldest decisions about unknown hosts until no more than limit
// decisions remain, and returns how many it has dropped.
func (r registers) prune(limit int, known func(host string) bool) (dropped int) {
	excess := len(r) - limit
	if excess <= 0 {
		return 0
	}
	var strangers []Decision
	for _, d := range r {
		if !known(d.Host) {
			strangers = append(strangers, d)
		}
	}
	slices.SortFunc(strangers, Decision.compare)
	strangers = strangers[:min(excess, len(strangers))]
	for _, d := range strangers {
		delete(r, d.topic())
	}
	return len(strangers)
}

// state returns the last word on a host's state: ready, if there is none.
func (r registers) state(host string) Decision {
	if d, ok := r[topic{host, aboutState}]; ok {
		return d
	}
	return Decision{Host: host, State: Ready}
}

// weight returns the last word on a host's weight, false if it is the host's own.
func (r registers) weight(host string) (Decision, bool) {
	d := r[topic{host, aboutWeight}]
	return d, d.weight() != OwnWeight
}

// list returns the decisions, sorted by host and topic.
func (r registers) list() []Decision {
	return slices.SortedFunc(maps.Values(r), func(a, b Decision) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.topic().what, b.topic().what))
	})
}
