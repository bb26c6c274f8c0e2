package route

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors of a request for an Override. There are also errors of writing it to disk.
var (
	ErrUnknownHost = errors.New("no host of that name is known")
	ErrOverride    = errors.New("override refused")
)

// An Override is what an operator sets for one host: its state, its weight, or both. A
// later override of one of the two leaves the other as it is.
type Override struct {
	Host   string   `json:"host"`
	State  State    `json:"state,omitempty"`  // "" leaves it as it is
	Drain  DrainEnd `json:"drain,omitzero"`   // of the state drain
	Weight *int     `json:"weight,omitempty"` // 0..256 or OwnWeight; nil leaves it as it is
	Reason string   `json:"reason,omitempty"` // at most MaxReason bytes of UTF-8
	By     string   `json:"by,omitempty"`     // at most MaxBy bytes of UTF-8
}

// OwnWeight, as the Weight of an Override, ends the override of the weight: the host has
// the weight again that it announces, or that a list gives it.
const OwnWeight = -1

// The bounds of an Override's texts, in bytes.
const (
	MaxReason = 200
	MaxBy     = 64
)

// Check returns what is wrong with o, nil if nothing.
func (o Override) Check() error {
	return cmp.Or(CheckHostName(o.Host), o.checkValues(), o.checkTexts())
}

// WeightOrOwn returns the weight that o sets. It returns OwnWeight if o sets none.
func (o Override) WeightOrOwn() int {
	if o.Weight == nil {
		return OwnWeight
	}
	return *o.Weight
}

// checkValues returns what is wrong with the state and the weight.
func (o Override) checkValues() error {
	switch {
	case o.State == "" && o.Weight == nil:
		return errors.New("it sets neither a state nor a weight")
	case o.State != "" && !o.State.Valid():
		return fmt.Errorf("there is no state %.20q: ready, drain, maint", string(o.State))
	case o.Drain != (DrainEnd{}) && o.State != Drain:
		return errors.New("only a drain has a deadline and a rate")
	case o.WeightOrOwn() != OwnWeight && (*o.Weight < 0 || *o.Weight > MaxWeight):
		return fmt.Errorf("the weight %d is not in 0..%d", *o.Weight, MaxWeight)
	}
	return o.Drain.Check()
}

// checkTexts returns what is wrong with the reason and the operator's name.
func (o Override) checkTexts() error {
	if len(o.Reason) > MaxReason {
		return fmt.Errorf("the reason has %d bytes, at most %d are possible", len(o.Reason), MaxReason)
	}
	for _, text := range []string{o.Reason, o.By} {
		if !isText(text) {
			return errors.New("the reason and the operator's name must be UTF-8 without control characters")
		}
	}
	if len(o.By) > MaxBy {
		return fmt.Errorf("the operator's name has %d bytes, at most %d are possible", len(o.By), MaxBy)
	}
	return nil
}

// isText reports whether text is UTF-8 without characters that aren't for display only.
func isText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, isControl)
}

// isControl reports whether a character isn't for display only: it ends a line, moves
// the cursor of a terminal, or changes the direction of the text.
func isControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
