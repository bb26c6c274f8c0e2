package inspect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	. "tokenring/gossip/inspect/forge"
)

var (
	us    = Member{Label: "test", Key: bytes.Repeat([]byte{1}, 32)}
	later = Member{Label: "test", Key: bytes.Repeat([]byte{2}, 32)}
)

const self = "lb/lb-1"

func newInspector(t testing.TB, members ...Member) *Inspector {
	t.Helper()
	var keys [][]byte
	for _, m := range members {
		keys = append(keys, m.Key)
	}
	k, err := NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return &Inspector{Label: us.Label, Self: self, Keys: k, MaxNodes: 100, MaxState: 1000}
}

func both(r Result) ([]byte, []*Refusal) { return r.Rest, r.Refused }

func suspectNode(node string, incarnation int) []byte {
	return Message(Suspect, "Incarnation", incarnation, "Node", node, "From", "host/ide-2")
}

// someAlive returns an alive message with another value for a field.
func someAlive(name string, value any) []byte {
	fields := []any{"Incarnation", 1, "Node", "host/ide-1", "Addr", []byte{10, 0, 0, 1}, "Port", 7946, "Meta", []byte("m"), "Vsn", Versions}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == name {
			fields[i+1] = value
		}
	}
	return Message(Alive, fields...)
}

const tooHigh = MaxIncarnation + 1

// messages are what packets hold: what members write, and what they don't, with the
// reason why it is refused.
var messages = map[string]struct {
	message []byte
	reason  Reason // "": none
	node    string
}{
	"a ping":                       {Message(Ping, "SeqNo", 7, "Node", "host/ide-1"), "", ""},
	"a ping for another":           {Message(Ping, "SeqNo", 7, "Node", "x", "SourceAddr", []byte{10, 0, 0, 1}, "SourcePort", 7946, "SourceNode", "y"), "", ""},
	"an indirect ping":             {Message(IndirectPing, "SeqNo", 1<<32-1, "Target", []byte{10, 0, 0, 1}, "Port", 7946, "Node", "x", "Nack", true), "", ""},
	"an ack":                       {Message(Ack, "SeqNo", 7, "Payload", nil), "", ""},
	"a nack":                       {Message(Nack, "SeqNo", 7), "", ""},
	"a suspicion":                  {suspectNode("host/ide-1", 3), "", ""},
	"a death":                      {Message(Dead, "Incarnation", 3, "Node", "host/ide-1", "From", "host/ide-1"), "", ""},
	"an alive node":                {AliveNode("host/ide-1", 3, 7946, make([]byte, 512)), "", ""},
	"the greatest incarnation":     {AliveNode("host/ide-1", MaxIncarnation, 7946, nil), "", ""},
	"a user's message":             {[]byte{User, 1, 2, 3}, "", ""},
	"an empty user's message":      {[]byte{User}, "", ""},
	"a checksum":                   {Checked(Message(Nack, "SeqNo", 7)), "", ""},
	"two messages":                 {Compound(Message(Nack, "SeqNo", 7), suspectNode("host/ide-1", 3)), "", ""},
	"two with a checksum":          {Checked(Compound(Message(Nack, "SeqNo", 7), []byte{User})), "", ""},
	"an unknown field":             {Message(Nack, "SeqNo", 7, "Later", []byte("xyz"), "More", nil, "And", 70_000, "So", true), "", ""},
	"a field that isn't there":     {Message(Ping, "SeqNo", 7), "", ""},
	"bytes as such":                {append([]byte{Nack, 0x82}, "\xa5SeqNo\x07\xa1B\xc4\x03abc"...), "", ""},
	"nothing":                      {nil, Malformed, ""},
	"an unknown type":              {[]byte{99}, Malformed, ""},
	"an exchange of state":         {ExchangeOf(0, 0, false), Malformed, ""},
	"a compressed message":         {Message(Compress, "Algo", 0, "Buf", []byte{1}), Malformed, ""},
	"an encrypted message":         {[]byte{10, 0}, Malformed, ""},
	"an error":                     {Message(Failure, "Error", "x"), Malformed, ""},
	"an array":                     {[]byte{Nack, 0x91, 7}, Malformed, ""},
	"an array as a field":          {Message(Nack, "SeqNo", Raw{0x91, 7}), Malformed, ""},
	"arrays in arrays":             {append([]byte{Nack, 0x81, 0xa1, 'X'}, bytes.Repeat([]byte{0x91}, 4000)...), Malformed, ""},
	"versions as an array":         {someAlive("Vsn", Raw{0x96, 1, 5, 2, 0, 0, 0}), Malformed, ""},
	"a field twice":                {Message(Dead, "Incarnation", 3, "Node", "host/ide-1", "Incarnation", tooHigh), Malformed, ""},
	"a field that spells others":   {Message(Dead, "Incarnation\xff\x00\x00\xb1Node", 3), Malformed, ""},
	"a name that is no text":       {append([]byte{Nack, 0x81, 7}, 7), Malformed, ""},
	"a long name":                  {append([]byte{Nack, 0x81, 0xd9, 40}, make([]byte, 50)...), Malformed, ""},
	"a number that is a text":      {Message(Nack, "SeqNo", "7"), Malformed, ""},
	"a text that is a number":      {Message(Dead, "Node", 7), Malformed, ""},
	"a float":                      {Message(Nack, "SeqNo", Raw{0xca, 0, 0, 0, 0}), Malformed, ""},
	"a negative number":            {Message(Nack, "SeqNo", Raw{0xd0, 0xff}), Malformed, ""},
	"a small negative number":      {Message(Nack, "SeqNo", Raw{0xff}), Malformed, ""},
	"a great number":               {Message(Nack, "SeqNo", 1<<32), Malformed, ""},
	"a long text":                  {Message(Nack, "SeqNo", 7, "X", strings.Repeat("x", 1025)), Malformed, ""},
	"a text without an end":        {append([]byte{Nack, 0x81, 0xa1, 'X', 0xda, 0xff, 0xff}, "x"...), Malformed, ""},
	"a text of 4 GB":               {append([]byte{Nack, 0x81, 0xa1, 'X', 0xdb, 0xff, 0xff, 0xff, 0xff}, "x"...), Malformed, ""},
	"many fields":                  {[]byte{Nack, 0xde, 0xff, 0xff}, Malformed, ""},
	"4 billion fields":             {[]byte{Nack, 0xdf, 0xff, 0xff, 0xff, 0xff}, Malformed, ""},
	"a message cut short":          {AliveNode("host/ide-1", 3, 7946, nil)[:30], Malformed, ""},
	"bytes after a message":        {append(Message(Nack, "SeqNo", 7), 0), Malformed, ""},
	"a wrong checksum":             {append(Checked(Message(Nack, "SeqNo", 7)), 0), Malformed, ""},
	"a checksum of nothing":        {Checked(nil), Malformed, ""},
	"a checksum of a checksum":     {Checked(Checked(Message(Nack, "SeqNo", 7))), Malformed, ""},
	"no parts":                     {Compound(), Malformed, ""},
	"an empty part":                {Compound(Message(Nack, "SeqNo", 7), nil), Malformed, ""},
	"parts cut short":              {Compound(Message(Nack, "SeqNo", 7), make([]byte, 9))[:15], Malformed, ""},
	"fewer parts than it says":     {[]byte{7, 255, 0, 0}, Malformed, ""},
	"bytes after the parts":        {append(Compound(Message(Nack, "SeqNo", 7)), 0), Malformed, ""},
	"parts of parts":               {Compound(Compound(Message(Nack, "SeqNo", 7))), Malformed, ""},
	"parts with a checksum":        {Compound(Checked(Message(Nack, "SeqNo", 7))), Malformed, ""},
	"a node without a name":        {AliveNode("", 3, 7946, nil), Malformed, ""},
	"a node with a long name":      {AliveNode(strings.Repeat("x", 256), 3, 7946, nil), Malformed, strings.Repeat("x", 255)},
	"much metadata":                {someAlive("Meta", make([]byte, 513)), Malformed, "host/ide-1"},
	"half an address":              {someAlive("Addr", []byte{10, 0}), Malformed, "host/ide-1"},
	"no address":                   {someAlive("Addr", nil), Malformed, "host/ide-1"},
	"no port":                      {someAlive("Port", 0), Malformed, "host/ide-1"},
	"a great port":                 {someAlive("Port", 1<<16), Malformed, "host/ide-1"},
	"no versions":                  {someAlive("Vsn", nil), Malformed, "host/ide-1"},
	"few versions":                 {someAlive("Vsn", []byte{1, 5, 2}), Malformed, "host/ide-1"},
	"alive for ever":               {AliveNode("host/ide-1", 1<<32-1, 7946, nil), Incarnation, "host/ide-1"},
	"alive just too high":          {AliveNode("host/ide-1", tooHigh, 7946, nil), Incarnation, "host/ide-1"},
	"suspect for ever":             {suspectNode("host/ide-1", tooHigh), Incarnation, "host/ide-1"},
	"dead for ever":                {Message(Dead, "Node", "host/ide-1", "From", "x", "Incarnation", tooHigh), Incarnation, "host/ide-1"},
	"what we can refute":           {suspectNode(self, maxRefuted), "", ""},
	"what would take us too high":  {suspectNode(self, maxRefuted+1), Incarnation, self},
	"another, as high":             {suspectNode("host/ide-1", maxRefuted+1), "", ""},
	"dead for ever, in a compound": {Compound(suspectNode("host/ide-1", tooHigh)), Incarnation, "host/ide-1"},
}

func TestWhatPacketsHold(t *testing.T) {
	i := newInspector(t, us)
	for name, row := range messages {
		packet := us.Packet(row.message)
		before := bytes.Clone(packet)
		rest, refused := both(i.Packet(packet))
		checkRefused(t, name, refused, row.reason, row.node)
		if row.reason == "" && !bytes.Equal(rest, packet) || row.reason != "" && rest != nil {
			t.Errorf("%s: %d of %d bytes are left", name, len(rest), len(packet))
		}
		if !bytes.Equal(packet, before) {
			t.Errorf("%s: the packet was changed", name)
		}
	}
}

func checkRefused(t *testing.T, name string, refused []*Refusal, reason Reason, node string) {
	t.Helper()
	switch {
	case reason == "" && len(refused) == 0:
	case len(refused) != 1:
		t.Errorf("%s: refused %v, want one for %q", name, refused, reason)
	case refused[0].Reason != reason || refused[0].Node != node:
		t.Errorf("%s: refused for %q of %q (%v), want %q of %q", name, refused[0].Reason, refused[0].Node, refused[0], reason, node)
	}
}

func TestWhatEnclosesMessages(t *testing.T) {
	i, nack := newInspector(t, us), Message(Nack, "SeqNo", 7)
	for name, row := range map[string]struct {
		packet []byte
		reason Reason
	}{
		"nothing":                       {nil, Label},
		"one byte":                      {[]byte{1}, Label},
		"no label":                      {us.Packet(nack)[6:], Label},
		"half a label":                  {us.Packet(nack)[:4], Label},
		"another label":                 {Member{Label: "tost", Key: us.Key}.Packet(nack), Label},
		"a longer label":                {Member{Label: "test2", Key: us.Key}.Packet(nack), Label},
		"the label alone":               {us.Packet(nack)[:6], Unencrypted},
		"another secret":                {later.Packet(nack), Secret},
		"no secret":                     {append(us.Packet(nack)[:6:6], nack...), Unencrypted},
		"encryption version 0":          {us.PacketOf(0, bytes.Repeat([]byte{255}, 16)), Malformed},
		"encryption version 0, as long": {us.PacketOf(0, append(bytes.Repeat([]byte{Nack}, 15), 1)), Malformed},
		"encryption version 2":          {us.PacketOf(2, nack), Unencrypted},
		"an encrypted nothing":          {us.Packet(nil), Malformed},
		"too short":                     {us.Packet(nil)[:20], Malformed},
		"bytes that were changed":       {append(us.Packet(nack), 0), Secret},
		"the longest":                   {us.Packet(append([]byte{User}, make([]byte, MaxPacket-6-29-1)...)), ""},
		"too long":                      {us.Packet(append([]byte{User}, make([]byte, MaxPacket-6-29)...)), Malformed},
	} {
		rest, refused := both(i.Packet(row.packet))
		checkRefused(t, name, refused, row.reason, "")
		if (rest == nil) != (row.reason != "") {
			t.Errorf("%s: %d bytes are left", name, len(rest))
		}
	}
}

// TestTheRestOfAPacketCounts: members of earlier versions pass on what a hostile one has
// told them, together with what is true.
func TestTheRestOfAPacketCounts(t *testing.T) {
	i, first, last := newInspector(t, us), Message(Nack, "SeqNo", 7), suspectNode("host/ide-3", 5)
	packet := us.Packet(Checked(Compound(first, AliveNode("host/ide-1", tooHigh, 7946, nil), suspectNode("host/ide-2", tooHigh), last)))
	rest, refused := both(i.Packet(packet))
	if len(refused) != 2 || refused[0].Node != "host/ide-1" || refused[1].Node != "host/ide-2" || refused[0].Reason != Incarnation {
		t.Errorf("refused %v", refused)
	}
	plain, _, refusal := i.Keys.open(rest[6:], []byte("test"))
	if refusal != nil || !bytes.Equal(plain, Compound(first, last)) {
		t.Errorf("the rest is %q, %v", plain, refusal)
	}
	if again, refused := both(i.Packet(rest)); !bytes.Equal(again, rest) || refused != nil {
		t.Errorf("the rest isn't fit: %v", refused)
	}
}

func TestWithTwoSecretsEitherCounts(t *testing.T) {
	i, nack := newInspector(t, us, later, us), Message(Nack, "SeqNo", 7)
	for _, m := range []Member{us, later} {
		if r := i.Packet(m.Packet(nack)); r.Rest == nil || !bytes.Equal(r.Secret, m.Key) {
			t.Errorf("got %v, want the secret %x", r, m.Key)
		}
	}
	if err := i.Keys.Set(later.Key); err != nil {
		t.Fatal(err)
	}
	if _, refused := both(i.Packet(us.Packet(nack))); refused == nil {
		t.Error("a secret counts that is gone")
	}
	for _, keys := range [][][]byte{nil, {us.Key, us.Key[:5]}} {
		if i.Keys.Set(keys...) == nil {
			t.Errorf("no error for %d keys", len(keys))
		}
	}
	if rest, refused := both(i.Packet(later.Packet(nack))); rest == nil {
		t.Errorf("an error has changed the keys: %v", refused)
	}
}

func node(name string, incarnation int) []byte {
	return NodeState(name, incarnation, 7946, []byte("metadata"), 0)
}

// calls are messages on streams: what a member says, and what it doesn't.
var calls = map[string]struct {
	message []byte
	reason  Reason
	node    string
}{
	"a ping":                     {Message(Ping, "SeqNo", 7, "Node", self), "", ""},
	"an exchange":                {ExchangeOf(2, 5, true, node("host/ide-1", 3), node("host/ide-2", 4), []byte("state")), "", ""},
	"of nothing":                 {ExchangeOf(0, 0, false), "", ""},
	"of dead nodes":              {ExchangeOf(1, 0, false, NodeState("host/ide-1", 3, 7946, nil, 3)), "", ""},
	"a user's message":           {Message(User, "UserMsgLen", 20<<20), Malformed, ""},
	"a compressed message":       {Message(Compress, "Algo", 0, "Buf", []byte{1}), Malformed, ""},
	"an alive node":              {AliveNode("host/ide-1", 3, 7946, nil), Malformed, ""},
	"an unknown type":            {[]byte{200}, Malformed, ""},
	"a type alone":               {[]byte{Exchange}, Malformed, ""},
	"a ping cut short":           {[]byte{Ping}, Malformed, ""},
	"a million nodes":            {ExchangeOf(1<<20, 0, true), Malformed, ""},
	"more nodes than we know":    {ExchangeOf(101, 0, true, bytes.Repeat(node("host/ide-1", 3), 101)), Malformed, ""},
	"a node that doesn't come":   {ExchangeOf(3, 0, true, node("host/ide-1", 3), node("host/ide-2", 4)), Malformed, ""},
	"one that comes half":        {ExchangeOf(1, 0, true, node("host/ide-1", 3)[:62]), Malformed, ""},
	"much state":                 {ExchangeOf(0, 1001, true, make([]byte, 1001)), Malformed, ""},
	"20 MB of state":             {ExchangeOf(0, 20<<20, true), Malformed, ""},
	"less state than promised":   {ExchangeOf(0, 5, true, []byte("stat")), Malformed, ""},
	"more state than promised":   {ExchangeOf(0, 5, true, []byte("states")), Malformed, ""},
	"a negative number":          {Message(Exchange, "Nodes", Raw{0xff}, "UserStateLen", 0, "Join", true), Malformed, ""},
	"a node as an array":         {ExchangeOf(1, 0, true, append([]byte{0x97}, make([]byte, 80)...)), Malformed, ""},
	"an unknown state of a node": {ExchangeOf(1, 0, true, NodeState("host/ide-1", 3, 7946, nil, 4)), Malformed, "host/ide-1"},
	"no port":                    {ExchangeOf(1, 0, true, NodeState("host/ide-1", 3, 0, nil, 0)), Malformed, "host/ide-1"},
	"alive for ever":             {ExchangeOf(1, 0, true, node("host/ide-1", tooHigh)), Incarnation, "host/ide-1"},
	"we, for ever":               {ExchangeOf(1, 0, true, NodeState(self, maxRefuted+1, 7946, nil, 2)), Incarnation, self},
}

func TestWhatStreamsHold(t *testing.T) {
	i := newInspector(t, us)
	for name, row := range calls {
		frame := us.Frame(row.message)
		if size, refusal := i.Frame(frame[:FrameHeader]); size != len(frame)-FrameHeader || refusal != nil {
			t.Errorf("%s: %d bytes, %v", name, size, refusal)
		}
		rest, refused := both(i.Call(frame))
		checkRefused(t, name, refused, row.reason, row.node)
		if row.reason == "" && !bytes.Equal(rest, frame) || row.reason != "" && row.node == "" && rest != nil {
			t.Errorf("%s: %d of %d bytes are left", name, len(rest), len(frame))
		}
	}
}

func TestWhatAnswersHold(t *testing.T) {
	i := newInspector(t, us)
	for name, row := range map[string]struct {
		message []byte
		reason  Reason
	}{
		"an ack":        {Message(Ack, "SeqNo", 7, "Payload", nil), ""},
		"an error":      {Message(Failure, "Error", strings.Repeat("x", 300)), ""},
		"an exchange":   {ExchangeOf(1, 0, false, node("host/ide-1", 3)), ""},
		"a ping":        {Message(Ping, "SeqNo", 7), Malformed},
		"a long error":  {Message(Failure, "Error", strings.Repeat("x", 5000)), Malformed},
		"a broken ack":  {[]byte{Ack, 0x81}, Malformed},
		"wrong numbers": {ExchangeOf(1<<20, 0, false), Malformed},
	} {
		rest, refused := both(i.Answer(us.Frame(row.message)))
		checkRefused(t, name, refused, row.reason, "")
		if (rest == nil) != (row.reason != "") {
			t.Errorf("%s: %d bytes are left", name, len(rest))
		}
	}
	for name, row := range map[string]struct {
		frame  []byte
		reason Reason
	}{
		"an encrypted nothing":    {us.Frame(nil), Malformed},
		"another secret":          {later.Frame(ExchangeOf(0, 0, false)), Secret},
		"encryption version 0":    {us.FrameOf(0, bytes.Repeat([]byte{255}, 16)), Malformed},
		"another label":           {Member{Label: "other", Key: us.Key}.Frame(ExchangeOf(0, 0, false)), Secret},
		"a size that was changed": {append([]byte{10, 0, 0, 0, 1}, us.Frame(ExchangeOf(0, 0, false))[5:]...), Secret},
	} {
		rest, refused := both(i.Answer(row.frame))
		checkRefused(t, name, refused, row.reason, "")
		if rest != nil {
			t.Errorf("%s: %d bytes are left", name, len(rest))
		}
	}
}

func TestTheRestOfAnExchangeCounts(t *testing.T) {
	i := newInspector(t, us)
	first, last := node("host/ide-1", 3), node("host/ide-4", 4)
	frame := us.Frame(ExchangeOf(4, 5, true, first, node("host/ide-2", tooHigh), NodeState("host/ide-3", 1, 0, nil, 0), last, []byte("state")))
	rest, refused := both(i.Call(frame))
	if len(refused) != 2 || refused[0].Node != "host/ide-2" || refused[1].Node != "host/ide-3" {
		t.Errorf("refused %v", refused)
	}
	plain, _, refusal := i.Keys.open(rest[FrameHeader:], append(bytes.Clone(rest[:FrameHeader]), us.Label...))
	if refusal != nil {
		t.Fatal(refusal)
	}
	r, head := reader{plain[1:]}, make([]value, maxForm)
	r.read(exchangeForm, head)
	if head[atNodes].number != 2 || head[atState].number != 5 || head[atJoin].number != 1 || string(r.rest) != string(first)+string(last)+"state" {
		t.Errorf("the rest is %q", plain)
	}
	if again, refused := both(i.Call(rest)); !bytes.Equal(again, rest) || refused != nil {
		t.Errorf("the rest isn't fit: %v", refused)
	}
}

func TestSizesOfMessagesOnStreams(t *testing.T) {
	i := newInspector(t, us)
	for name, row := range map[string]struct {
		kind   byte
		size   int
		reason Reason
	}{
		"one byte":        {10, overhead + 1, ""},
		"the largest":     {10, i.MaxStream(), ""},
		"nothing":         {10, overhead, Malformed},
		"0":               {10, 0, Malformed},
		"too much":        {10, i.MaxStream() + 1, Malformed},
		"20 MB":           {10, 20 << 20, Malformed},
		"4 GB":            {10, 1<<32 - 1, Malformed},
		"not encrypted":   {6, 100, Unencrypted},
		"label once more": {244, 100, Unencrypted},
	} {
		size, refusal := i.Frame(binary.BigEndian.AppendUint32([]byte{row.kind}, uint32(row.size)))
		switch {
		case row.reason == "" && (refusal != nil || size != row.size):
			t.Errorf("%s: got %d, %v", name, size, refusal)
		case row.reason != "" && (refusal == nil || refusal.Reason != row.reason):
			t.Errorf("%s: got %d, %v, want %q", name, size, refusal, row.reason)
		}
	}
}

// TestAFailureCanBeRead: by a member of ours, with any text, also in an Answer.
func TestAFailureCanBeRead(t *testing.T) {
	i := newInspector(t, us)
	for _, text := range []string{"", "why", strings.Repeat("x", 1000)} {
		frame := i.Failure(text)
		if rest, refused := both(i.Answer(frame)); !bytes.Equal(rest, frame) {
			t.Errorf("refused %v", refused)
		}
	}
}

func TestLabels(t *testing.T) {
	i := newInspector(t, us)
	for text, want := range map[string]bool{"": true, "\xf4": true, "\xf4\x04test": true, "\xf4\x04tesx": false, "G": false, "\xf4\x04testx": false} {
		if refusal := i.CheckLabel([]byte(text)); (refusal == nil) != want {
			t.Errorf("%q: %v", text, refusal)
		}
	}
	i.Label = ""
	bare := Member{Key: us.Key}
	if rest, refused := both(i.Packet(bare.Packet(Message(Nack, "SeqNo", 7)))); rest == nil {
		t.Errorf("without a label: %v", refused)
	}
}

func TestARefusalIsAnError(t *testing.T) {
	if _, refused := both(newInspector(t, us).Packet(later.Packet([]byte{User}))); !errors.Is(refused[0], errSecret) || refused[0].Error() != errSecret.Error() {
		t.Errorf("got %v", refused[0])
	}
}

func BenchmarkPacket(b *testing.B) {
	i := newInspector(b, us)
	for name, message := range map[string][]byte{
		"ping":  Message(Ping, "SeqNo", 7, "Node", self),
		"alive": AliveNode("host/ide-1", 3, 7946, make([]byte, 300)),
		"full":  Compound(Message(Ping, "SeqNo", 7, "Node", self), AliveNode("host/ide-1", 3, 7946, make([]byte, 300)), AliveNode("host/ide-2", 3, 7946, make([]byte, 300)), AliveNode("host/ide-3", 3, 7946, make([]byte, 300))),
	} {
		packet := us.Packet(message)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			for b.Loop() {
				if rest, _ := both(i.Packet(packet)); rest == nil {
					b.Fatal("refused")
				}
			}
		})
	}
	stranger := later.Packet(make([]byte, 1300))
	b.Run("stranger", func(b *testing.B) {
		for b.Loop() {
			i.Packet(stranger)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	i := newInspector(b, us)
	i.MaxNodes = 4608
	frame := us.Frame(ExchangeOf(2048, 0, false, bytes.Repeat(NodeState("host/ide-1", 3, 7946, make([]byte, 300), 0), 2048)))
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if rest, _ := both(i.Call(frame)); rest == nil {
			b.Fatal("refused")
		}
	}
}
