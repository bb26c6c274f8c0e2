package peers

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"tokenring/route"
	"tokenring/statefile"
)

// A SlowStart is when a host has come into service the last time, and how long it
// takes from then on until it has all its keys. All balancers know it.
//
// Each balancer that sees the host return adds one to Number. If two balancers see the
// same return, they have the same number, and the earlier of their times counts: it
// only ever takes keys sooner. A balancer for which the host was there all the time
// gives the new number the old time, which is earlier, and so takes the slow start back
// for all. Where a host serves, its start never becomes later, and no key leaves it
// because of its slow start.
type SlowStart struct {
	Host   string        `json:"host"`
	Number uint64        `json:"number"`         // of the host's return, at most maxReturns; 1 is its first coming
	Since  time.Time     `json:"since,omitzero"` // zero: for longer than anybody remembers
	Lasts  time.Duration `json:"lasts"`          // in nanoseconds
	Back   bool          `json:"back,omitempty"` // it was in the ring already, and failed its checks

	// Unknown is a JSON object of the fields that a later version has added; "" for none.
	Unknown string `json:"-"`
}

var slowStartFields = statefile.FieldNames[SlowStart]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (s *SlowStart) UnmarshalJSON(b []byte) (err error) {
	type plain SlowStart
	if err = json.Unmarshal(b, (*plain)(s)); err == nil {
		s.Unknown, err = statefile.UnknownFields(b, slowStartFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (s SlowStart) MarshalJSON() ([]byte, error) {
	type plain SlowStart
	return statefile.WithUnknown(plain(s), s.Unknown)
}

// maxReturns is more than a host can return in a century, once a second. A greater
// number is a mistake, and nothing could count after it.
const maxReturns = 1 << 32

// Check says what is wrong with s.
func (s SlowStart) Check() error {
	if err := route.CheckHostName(s.Host); err != nil {
		return err
	}
	if !s.Since.IsZero() && !statefile.ValidTime(s.Since) {
		return fmt.Errorf("a slow start since %s", s.Since)
	}
	if s.Number > maxReturns {
		return fmt.Errorf("a host that has returned %d times", s.Number)
	}
	if s.Lasts != 0 && (s.Lasts < route.MinSlowStart || s.Lasts > route.MaxSlowStart) {
		return fmt.Errorf("a slow start of %s", s.Lasts)
	}
	return statefile.CheckUnknown(s.Unknown)
}

// Register returns the register of s. It is an error if there is something wrong with
// s.
func (s SlowStart) Register() (Register, error) {
	if err := s.Check(); err != nil {
		return Register{}, err
	}
	s.Since = s.Since.UTC().Round(0)
	entry, err := statefile.EncodeJSON(s)
	return Register{Topic: Topic{KindSlowStart, s.Host}, Version: s.version(), value: s, entry: string(entry)}, err
}

// version orders what is said about one host: the later return, the earlier time, the
// shorter slow start, and of those one of a host that was in the ring.
func (s SlowStart) version() Version {
	rank := int64(math.MaxInt64)
	if !s.Since.IsZero() {
		rank = -s.Since.UnixNano()
	}
	was := 0
	if s.Back {
		was = 1
	}
	return Version{Epoch: s.Number, Rank: rank, Tie: fmt.Sprintf("%019d %d %s", math.MaxInt64-int64(s.Lasts), was, s.Unknown)}
}

// SlowStart returns the last slow start of a host, the zero value if there was none.
func (s *Set) SlowStart(host string) SlowStart {
	last, _ := s.all[Topic{KindSlowStart, host}].SlowStart()
	return last
}
