package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tokenring/route"
	"tokenring/statefile"
)

// An Override is what an operator wants of a host, with when and where that was said.
type Override struct {
	route.Override
	Epoch  uint32    `json:"epoch,omitempty"` // orders overrides before At does: see Set.Date
	At     time.Time `json:"at"`
	Origin string    `json:"origin"` // the balancer that was told
	// After is the last override of another balancer that Origin knew on the topic; nil if
	// an earlier version has taken this one.
	After *Basis `json:"after,omitempty"`
	// Alone says that Origin dated it by its clock alone: it had met no other balancer yet.
	Alone bool `json:"alone,omitempty"`

	// Unknown is a JSON object of the fields that a later version has added; "" for none.
	Unknown string `json:"-"`

	afterWeight *Basis // After of the weight, if there is a state, too
}

// tombstoneLife is how long a balancer remembers that a host is ready, or has its own
// weight again, from when it knows the host no more. A balancer that is cut off or off for longer,
// and holds an older override still, brings that back to all.
const tombstoneLife = 7 * 24 * time.Hour

var overrideFields = statefile.FieldNames[Override]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (o *Override) UnmarshalJSON(b []byte) (err error) {
	type plain Override
	if err = json.Unmarshal(b, (*plain)(o)); err == nil {
		o.Unknown, err = statefile.UnknownFields(b, overrideFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (o Override) MarshalJSON() ([]byte, error) {
	type plain Override
	return statefile.WithUnknown(plain(o), o.Unknown)
}

// Check says what is wrong with o.
func (o Override) Check() error {
	if err := o.Override.Check(); err != nil {
		return err
	}
	if err := route.CheckName(o.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if !statefile.ValidTime(o.At) {
		return fmt.Errorf("it is dated %s: the clock of %s is wrong", o.At.UTC().Format(time.RFC3339), o.Origin)
	}
	if at := o.Drain.Deadline; !at.IsZero() && !statefile.ValidTime(at) {
		return fmt.Errorf("its drain ends at %s", at.UTC().Format(time.RFC3339))
	}
	return statefile.CheckUnknown(o.Unknown)
}

// Registers returns the registers of o, one for each of its parts. It is an error if
// there is something wrong with o.
func (o Override) Registers() ([]Register, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.At = o.At.UTC().Round(0)
	if !o.Drain.Deadline.IsZero() {
		o.Drain.Deadline = o.Drain.Deadline.UTC().Round(0)
	}
	var all []Register
	for _, part := range o.parts() {
		entry, err := statefile.EncodeJSON(part)
		if err != nil {
			return nil, err
		}
		r := Register{Topic: part.topic(), Version: part.version(), value: part, entry: string(entry)}
		if part.isDefault() {
			r.Expires = o.At.Add(tombstoneLife)
		}
		all = append(all, r)
	}
	return all, nil
}

// parts returns o cut into overrides of one thing each.
func (o Override) parts() []Override {
	if o.State == "" || o.Weight == nil {
		return []Override{o}
	}
	state, weight := o, o
	state.Weight, weight.State, weight.Drain = nil, "", route.DrainEnd{}
	weight.After = o.afterWeight
	state.afterWeight, weight.afterWeight = nil, nil
	return []Override{state, weight}
}

// topic returns what o, which is one part, is about.
func (o Override) topic() Topic {
	if o.Weight != nil {
		return Topic{KindWeight, o.Host}
	}
	return Topic{KindState, o.Host}
}

// version orders overrides on one topic: the later wins, and of two at the same
// instant the greater by the other fields, so that every balancer prefers the same
// one. The texts have no zero bytes.
func (o Override) version() Version {
	tie := []string{o.Origin, string(o.State), fmt.Sprintf("%05d", o.WeightOrOwn()-route.OwnWeight), o.Reason, o.By, o.Unknown, o.After.text()}
	if o.Alone {
		tie = append(tie, "alone")
	}
	if o.Drain != (route.DrainEnd{}) {
		tie = append(tie, o.Drain.Deadline.Format(time.RFC3339Nano), strconv.Itoa(o.Drain.Rate))
	}
	return Version{Epoch: uint64(o.Epoch), Rank: o.At.UnixNano(), Tie: strings.Join(tie, "\x00")}
}

// Compare orders overrides on one topic: the greater counts.
func (o Override) Compare(p Override) int { return o.version().Compare(p.version()) }

// isDefault reports whether o, which is one part, ends an override.
func (o Override) isDefault() bool {
	return o.State == route.Ready || o.State == "" && o.WeightOrOwn() == route.OwnWeight
}

// State returns the last override of a host's state: ready, if there is none.
func (s *Set) State(host string) Override {
	if o, ok := s.all[Topic{KindState, host}].Override(); ok {
		return o
	}
	return Override{Override: route.Override{Host: host, State: route.Ready}}
}

// Weight returns the last override of a host's weight, false if the weight is the
// host's own.
func (s *Set) Weight(host string) (Override, bool) {
	o, _ := s.all[Topic{KindWeight, host}].Override()
	return o, o.WeightOrOwn() != route.OwnWeight
}

// checkOverrulable returns an error if none could count after o. Only a mistake can make such
// an override: an epoch begins where a wrong clock is overruled, and there are 2^32.
func (o Override) checkOverrulable(now time.Time) error {
	if o.Epoch == math.MaxUint32 && o.Ahead(now) {
		return errors.New("no later override could count after it")
	}
	return nil
}
