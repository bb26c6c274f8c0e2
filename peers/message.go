package peers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tokenring/pool/votes"
	"tokenring/route"
	"tokenring/statefile"
)

// formatVersion is the version of what this software writes: of messages, of the file
// and of the journal. It grows when a reader had better know; an earlier reader takes
// what it understands all the same.
const formatVersion = statefile.Version

// messageRegisters is the kind of a message that has registers. It is the kind of a
// message without one, too: earlier versions wrote nothing else.
const messageRegisters = "registers"

// listOther is the list of the registers of kinds that have no list of their own. Each
// entry says its topic and its version: see otherEntry.
const listOther = "registers"

// lists are the names of the lists of registers, in the order in which they are
// written.
var lists = []string{"decisions", "weights", "warm_ups", listOther}

// list returns the name of the list that has registers of kind k.
func (k Kind) list() string {
	switch k {
	case KindState:
		return "decisions"
	case KindWeight:
		return "weights"
	case KindSlowStart:
		return "warm_ups"
	}
	return listOther
}

// encode writes registers as a JSON object. kind is that of a message; "" leaves it
// out. It takes over what Register has encoded.
func encode(kind string, registers []Register) []byte {
	entries := map[string][]string{}
	for _, r := range registers {
		list := r.Topic.Kind.list()
		entries[list] = append(entries[list], r.entry)
	}
	b := make([]byte, 0, encodedSize(registers))
	b = append(b, `{"version":`...)
	b = strconv.AppendInt(b, formatVersion, 10)
	if kind != "" {
		b = append(b, `,"kind":"`+kind+`"`...)
	}
	for i, list := range lists {
		if i > 0 && len(entries[list]) == 0 {
			continue
		}
		b = append(b, `,"`+list+`":[`...)
		for j, entry := range entries[list] {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(b, entry...)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// encodedSize returns how many bytes encode returns at most: 100 for what is around the
// entries.
func encodedSize(registers []Register) int {
	size := 100
	for _, r := range registers {
		size += len(r.entry) + 1
	}
	return size
}

// EncodeMessage returns the message that tells peers of registers.
func EncodeMessage(registers ...Register) []byte { return encode(messageRegisters, registers) }

// A Message is what a peer has said, as far as it is understood.
type Message struct {
	Version   int
	Kind      string
	Registers []Register
	Verdicts  []votes.Entry

	PoolVerdicts []PoolVerdicts // of pools beside the main one
	poolDigests  []poolDigests

	Announcements [][]byte // of hosts, as they have signed them

	Refused []Refusal
}

// A Refusal is an entry of a message that isn't taken.
type Refusal struct {
	List string
	Host string // what the entry says, not to be trusted; "" if it says nothing
	Err  error
}

// DecodeMessage reads a message of this version or of another one, without the entries for
// which known returns true; nil stands for none. It keeps no part of b. Of an unknown kind,
// only Version and Kind are set. It is an error if b is no message at all.
func DecodeMessage(b []byte, known func(entry []byte) bool) (Message, error) {
	var m Message
	var head struct {
		Version int    `json:"version"`
		Kind    string `json:"kind"`

		Verdicts      []json.RawMessage `json:"verdicts"`
		PoolVerdicts  []json.RawMessage `json:"pool_verdicts"`
		PoolDigests   []json.RawMessage `json:"pool_digests"`
		Announcements [][]byte          `json:"announcements"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return m, err
	}
	m.Version, m.Kind = head.Version, head.Kind
	if m.Kind == "" {
		m.Kind = messageRegisters
	}
	if m.Version < 1 {
		return m, errors.New("it doesn't say its version")
	}
	if m.Kind != messageRegisters {
		return m, nil
	}
	m.readVerdicts(head.Verdicts)
	m.readPools(head.PoolVerdicts, head.PoolDigests)
	m.Announcements = head.Announcements
	_, err := parse(b, func(list string, entry json.RawMessage) error {
		if known != nil && known(entry) {
			return nil
		}
		registers, err := decodeEntry(list, entry)
		m.Registers = append(m.Registers, registers...)
		if err != nil {
			m.Refused = append(m.Refused, Refusal{list, hostOf(entry), err})
		}
		return err
	})
	return m, err
}

// hostOf returns what an entry gives as its host, in the form of its list.
func hostOf(entry json.RawMessage) string {
	var of struct {
		Host string `json:"host"`
		Key  string `json:"key"`
	}
	_ = json.Unmarshal(entry, &of) // a refused entry may be anything
	return cmp.Or(of.Host, of.Key)
}

// parse reads the lists of registers in a JSON object, and returns what else there is.
// An entry for which read returns an error counts as that, too.
func parse(b []byte, read func(list string, entry json.RawMessage) error) (statefile.Unknown, error) {
	readers := map[string]func(json.RawMessage) error{}
	for _, list := range lists {
		readers[list] = func(entry json.RawMessage) error { return read(list, entry) }
	}
	return statefile.ParseLists(b, readers)
}

// decodeEntry reads one entry of a list.
func decodeEntry(list string, entry json.RawMessage) ([]Register, error) {
	switch list {
	case KindSlowStart.list():
		var s SlowStart
		if err := json.Unmarshal(entry, &s); err != nil {
			return nil, err
		}
		r, err := s.Register()
		if err != nil {
			return nil, err
		}
		return []Register{r}, nil
	case listOther:
		r, err := decodeOther(entry)
		if err != nil {
			return nil, err
		}
		return []Register{r}, nil
	}
	var o Override
	if err := json.Unmarshal(entry, &o); err != nil {
		return nil, err
	}
	return o.Registers()
}

// An otherEntry is what each register from the list "registers" says, whatever else
// there is in it. By that, balancers merge, pass on and forget registers of kinds that
// they don't know.
type otherEntry struct {
	Kind    Kind      `json:"kind"`
	Key     string    `json:"key"`
	Epoch   uint64    `json:"epoch,omitempty"`
	Rank    int64     `json:"rank,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // of a tombstone, or of what is of no use later
}

// The bounds of an entry of the list "registers", in bytes of JSON, and of its key. It
// fits into a gossip packet.
const (
	maxOther = 1024
	maxKey   = 128
)

// decodeOther reads a register of a kind that this version doesn't know. Of two with
// the same epoch and rank, the one with the greater JSON text counts.
func decodeOther(entry json.RawMessage) (Register, error) {
	var e otherEntry
	if err := json.Unmarshal(entry, &e); err != nil {
		return Register{}, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, entry); err != nil {
		return Register{}, err
	}
	switch {
	case route.CheckName(string(e.Kind)) != nil || e.Kind.list() != listOther:
		return Register{}, fmt.Errorf("a register of the kind %.40q", string(e.Kind))
	case e.Key == "" || len(e.Key) > maxKey:
		return Register{}, fmt.Errorf("a register of the kind %s about %.40q", e.Kind, e.Key)
	case !e.Expires.IsZero() && !statefile.ValidTime(e.Expires):
		return Register{}, fmt.Errorf("a register that expires at %s", e.Expires)
	case compact.Len() > maxOther:
		return Register{}, fmt.Errorf("a register of %d bytes, at most %d are possible", compact.Len(), maxOther)
	}
	r := Register{
		Topic:   Topic{e.Kind, e.Key},
		Version: Version{Epoch: e.Epoch, Rank: e.Rank, Tie: compact.String()},
		Expires: e.Expires,
		entry:   compact.String(),
	}
	var err error
	switch r.Topic.Kind {
	case KindHostKey:
		r.value, err = decodeHostKey(entry)
		r.Expires = time.Time{}
	case KindPrecedence:
		r.value, err = decodePrecedence(entry)
		r.Expires = time.Time{}
	}
	return r, err
}

// String names t in a log or an alarm.
func (t Topic) String() string { return strings.Join([]string{string(t.Kind), t.Key}, " ") }
