package peers

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"tokenring/route"
	"tokenring/statefile"
)

// A HostKey is the key by which balancers know a host again: the one with which it was
// announced first, or what an operator has said since then.
//
// Each word of an operator adds one to Number. Of two balancers that have learned
// different keys since the last word, the one that was first is right.
type HostKey struct {
	Host   string
	Key    route.HostKey // zero: an operator wants the next one learned
	Number uint64        // of the operators' words on this host
	At     time.Time     // when it was learned, or said
	Origin string        // the balancer
	By     string        // the operator; "" if it was learned
	Reason string        // the operator's

	// Machine is where the host was when its key was learned, as pool tells machines apart;
	// "" if nobody knows.
	Machine string
}

// maxRekeys is more than operators can say of a host. A greater number is a mistake, and
// nothing could count after it.
const maxRekeys = 1 << 32

// hostKeyEntry is the JSON form of a HostKey: an entry of the list "registers".
type hostKeyEntry struct {
	otherEntry
	Public route.HostKey `json:"public"`
	At     time.Time     `json:"at"`
	Origin string        `json:"origin"`
	By     string        `json:"by,omitempty"`
	Reason string        `json:"reason,omitempty"`

	Machine string `json:"machine,omitempty"`
}

// Check returns what is wrong with k.
func (k HostKey) Check() error {
	if err := route.CheckHostName(k.Host); err != nil {
		return err
	}
	if err := route.CheckName(k.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	switch {
	case !statefile.ValidTime(k.At):
		return fmt.Errorf("a key of %s", k.At.UTC().Format(time.RFC3339))
	case k.Number > maxRekeys:
		return fmt.Errorf("a host that has got %d keys", k.Number)
	case k.Key.IsZero() && k.Number == 0:
		return errors.New("no key was learned")
	case len(k.Machine) > route.MaxAddress:
		return fmt.Errorf("a machine of %d bytes", len(k.Machine))
	}
	return route.Override{Host: k.Host, State: route.Ready, By: k.By, Reason: k.Reason}.Check()
}

// rank orders what is said of one host with one Number: an operator's key, the key that
// was learned first, and last that one is to be learned.
func (k HostKey) rank() int64 {
	switch {
	case k.Key.IsZero():
		return math.MinInt64
	case k.By != "":
		return math.MaxInt64
	}
	return -k.At.UnixNano()
}

// Register returns the register of k. It is an error if there is something wrong with k.
func (k HostKey) Register() (Register, error) {
	if err := k.Check(); err != nil {
		return Register{}, err
	}
	entry, err := statefile.EncodeJSON(hostKeyEntry{
		otherEntry: otherEntry{Kind: KindHostKey, Key: k.Host, Epoch: k.Number, Rank: k.rank()},
		Public:     k.Key, At: k.At.UTC().Round(0), Origin: k.Origin, By: k.By, Reason: k.Reason, Machine: k.Machine,
	})
	if err != nil {
		return Register{}, err
	}
	return decodeOther(entry)
}

// decodeHostKey reads an entry of the list "registers" that is about a key.
func decodeHostKey(entry []byte) (HostKey, error) {
	var e hostKeyEntry
	if err := json.Unmarshal(entry, &e); err != nil {
		return HostKey{}, err
	}
	k := HostKey{Host: e.Key, Key: e.Public, Number: e.Epoch, At: e.At, Origin: e.Origin, By: e.By, Reason: e.Reason, Machine: e.Machine}
	if err := k.Check(); err != nil {
		return HostKey{}, err
	}
	if e.Rank != k.rank() {
		return HostKey{}, fmt.Errorf("a key with the rank %d", e.Rank)
	}
	return k, nil
}

// HostKey returns what r says, false if it isn't about a host's key.
func (r Register) HostKey() (HostKey, bool) {
	k, ok := r.value.(HostKey)
	return k, ok
}

// HostKey returns the key of a host, false if nothing is known of it.
func (s *Set) HostKey(host string) (HostKey, bool) { return s.all[Topic{KindHostKey, host}].HostKey() }

// compareAge orders keys by what is to be forgotten first.
func (k HostKey) compareAge(l HostKey) int {
	return cmp.Or(k.At.Compare(l.At), cmp.Compare(k.Host, l.Host))
}
