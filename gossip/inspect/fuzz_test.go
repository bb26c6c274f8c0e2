package inspect

import (
	"bytes"
	"testing"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// A nodeGone has the fields of memberlist's messages that a node is suspect or dead. It skips what else is
// in them, whatever that is.
type nodeGone struct {
	Incarnation uint32
	Node        string
	From        string
}

// A nodeAlive has those of the message that one is alive.
type nodeAlive struct {
	Incarnation uint32
	Node        string
	Addr        []byte
	Port        uint16
	Meta        []byte
	Vsn         []uint8
}

// A nodeState has those of a node in an exchange of state.
type nodeState struct {
	Name        string
	Addr        []byte
	Port        uint16
	Meta        []byte
	Incarnation uint32
	State       int
	Vsn         []uint8
}

// decode reads as memberlist does. It returns how many bytes are left.
func decode(t *testing.T, b []byte, v any) (left int) {
	t.Helper()
	r := bytes.NewReader(b)
	if err := codec.NewDecoder(r, new(codec.MsgpackHandle)).Decode(v); err != nil {
		t.Fatalf("memberlist doesn't read %x: %v", b, err)
	}
	return r.Len()
}

// FuzzMemberlistReadsTheSame: what is passed on, memberlist reads as it was read here.
func FuzzMemberlistReadsTheSame(f *testing.F) {
	for _, row := range messages {
		f.Add(row.message)
	}
	for _, row := range calls {
		f.Add(row.message)
	}
	f.Add([]byte("\x05\x85\xa5AAAAA\xcf00000000\xa6AAAAAA\xa40000\xa4Port\xcf00000000\xa4Node\xa10\xa4AAAA0")) // dead, with a Port that is no number of 16 bits
	f.Fuzz(func(t *testing.T, b []byte) {
		i := newInspector(t, us)
		if len(b) == 0 {
			return
		}
		switch b[0] {
		case alive, suspect, dead:
			form := map[byte]form{alive: aliveForm, suspect: deadForm, dead: deadForm}[b[0]]
			if part, all := i.message(b); part != nil || all != nil {
				return
			}
			var values [maxForm]value
			r := reader{b[1:]}
			r.read(form, values[:])
			if b[0] == alive {
				var got nodeAlive
				if left := decode(t, b[1:], &got); left != 0 || got.Incarnation > MaxIncarnation || len(got.Vsn) != 6 || got.Port == 0 {
					t.Fatalf("passed %+v, and %d bytes are left", got, left)
				}
				same(t, values[:], got.Incarnation, got.Node)
				return
			}
			var got nodeGone
			if left := decode(t, b[1:], &got); left != 0 || got.Incarnation > MaxIncarnation {
				t.Fatalf("passed %+v, and %d bytes are left", got, left)
			}
			same(t, values[:], got.Incarnation, got.Node)
		case pushPull:
			r := i.Call(us.Frame(b))
			if r.Rest == nil || r.Refused != nil {
				return
			}
			checkExchange(t, b[1:], func(node string) []byte { return i.MetadataOf(r.Rest, node) })
		}
	})
}

func same(t *testing.T, values []value, incarnation uint32, node string) {
	t.Helper()
	if values[atIncarnation].number != uint64(incarnation) || string(values[atNode].bytes) != node {
		t.Fatalf("read %d of %q, memberlist reads %d of %q", values[atIncarnation].number, values[atNode].bytes, incarnation, node)
	}
}

// checkExchange reads an exchange of state as memberlist does. metadataOf returns what was
// read here of a node.
func checkExchange(t *testing.T, b []byte, metadataOf func(node string) []byte) {
	t.Helper()
	seen := map[string]bool{}
	var head struct {
		Nodes, UserStateLen int
		Join                bool
	}
	left := decode(t, b, &head)
	r := reader{b[len(b)-left:]}
	for range head.Nodes {
		var got nodeState
		var values [maxForm]value
		left := decode(t, r.rest, &got)
		r.read(nodeForm, values[:])
		same(t, values[:], got.Incarnation, got.Name)
		if meta := metadataOf(got.Name); !seen[got.Name] && !bytes.Equal(meta, got.Meta) {
			t.Fatalf("%q announces %x, memberlist reads %x", got.Name, meta, got.Meta)
		}
		seen[got.Name] = true
		if len(r.rest) != left || got.Incarnation > MaxIncarnation {
			t.Fatalf("%d bytes are left after %+v, memberlist leaves %d", len(r.rest), got, left)
		}
	}
	if len(r.rest) != head.UserStateLen {
		t.Fatalf("%d bytes of state, memberlist expects %d", len(r.rest), head.UserStateLen)
	}
}
