package inspect

import (
	"strings"
	"testing"

	. "tokenring/gossip/inspect/forge"
)

// TestQuestionsAreAsMembersAskThem: who is asked inspects them.
func TestQuestionsAreAsMembersAskThem(t *testing.T) {
	i := newInspector(t, us)
	for name, frame := range map[string][]byte{
		"a ping":                i.Ping("host/ide-1", 7),
		"a ping of a long name": i.Ping(strings.Repeat("x", maxName), 1<<32-1),
		"a question":            i.Question(),
	} {
		if rest, refused := both(i.Call(frame)); rest == nil || refused != nil {
			t.Errorf("%s: refused %v", name, refused)
		}
	}
	var got struct {
		SeqNo uint32
		Node  string
	}
	frame := i.Ping("host/ide-1", 1<<31+7)
	plain, _, refusal := i.Keys.open(frame[FrameHeader:], i.frameData(frame))
	if refusal != nil || plain[0] != ping {
		t.Fatalf("%x, %v", plain, refusal)
	}
	if left := decode(t, plain[1:], &got); left != 0 || got.SeqNo != 1<<31+7 || got.Node != "host/ide-1" {
		t.Errorf("memberlist reads %+v, and leaves %d bytes", got, left)
	}
}

func TestWhatAnswersSay(t *testing.T) {
	i := newInspector(t, us)
	for name, row := range map[string]struct {
		message []byte
		want    bool
	}{
		"the ack":           {Message(Ack, "SeqNo", 7, "Payload", nil), true},
		"another ack":       {Message(Ack, "SeqNo", 8, "Payload", nil), false},
		"an ack of nothing": {Message(Ack, "Payload", nil), false},
		"a failure":         {Message(Failure, "Error", "no"), false},
		"an exchange":       {ExchangeOf(0, 0, false), false},
	} {
		if got := i.IsAck(us.Frame(row.message), 7); got != row.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	nodes := [][]byte{NodeState("host/ide-1", 3, 7946, []byte("one"), 0), NodeState("host/ide-2", 4, 7946, []byte("two"), 0)}
	exchange := us.Frame(ExchangeOf(2, 0, false, nodes...))
	for node, want := range map[string]string{"host/ide-1": "one", "host/ide-2": "two", "host/ide-3": "", "": ""} {
		if got := i.MetadataOf(exchange, node); string(got) != want {
			t.Errorf("%q announces %q, want %q", node, got, want)
		}
	}
	for name, message := range map[string][]byte{"an ack": Message(Ack, "SeqNo", 7), "half an exchange": ExchangeOf(2, 0, false, nodes[0])} {
		if got := i.MetadataOf(us.Frame(message), "host/ide-2"); got != nil {
			t.Errorf("%s says %q", name, got)
		}
	}
}
