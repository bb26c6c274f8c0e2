package tunnel

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unsafe"
)

// frame returns a frame with that first byte, in one of the three forms of a length.
func frame(first byte, mask bool, size, form int) []byte {
	b := []byte{first, 0}
	switch form {
	case 0:
		b[1] = byte(size)
	case 126:
		b = binary.BigEndian.AppendUint16(b, uint16(size))
		b[1] = 126
	case 127:
		b = binary.BigEndian.AppendUint64(b, uint64(size))
		b[1] = 127
	}
	if mask {
		b[1] |= masked
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	}
	return append(b, bytes.Repeat([]byte{0x88}, size)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const text, ping = 0x81, 0x89

func TestWhereAFrameMayBeSent(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{0x82, 127}, 1<<32)
	for name, row := range map[string]struct {
		sent []byte
		mask bool
		open bool
	}{
		"before the first frame":            {nil, false, true},
		"after a frame":                     {frame(text, false, 5, 0), false, true},
		"after an empty one":                {frame(text, false, 0, 0), false, true},
		"after an empty one with a mask":    {frame(text, true, 0, 0), true, true},
		"after two bytes of length":         {frame(text, false, 300, 126), false, true},
		"after eight bytes of length":       {frame(text, false, 70000, 127), false, true},
		"after a length that is too long":   {frame(text, false, 3, 127), false, true}, // its sender's fault, and clear
		"after a masked one":                {frame(text, true, 300, 126), true, true},
		"between fragments":                 {join(frame(0x01, false, 5, 0), frame(0x00, false, 5, 0)), false, true}, // RFC 6455 §5.4
		"after a ping between fragments":    {join(frame(0x01, true, 5, 0), frame(ping, true, 0, 0)), true, true},
		"with compression":                  {frame(0xc1, false, 5, 0), false, true}, // RFC 7692
		"after the first byte":              {[]byte{text}, false, false},
		"in a length":                       {[]byte{text, 126, 0}, false, false},
		"after a length of zero bytes":      {[]byte{text, 126, 0, 0}, false, true},
		"in a mask":                         {[]byte{text, masked, 0, 0, 0}, true, false},
		"before the last byte":              {frame(text, false, 300, 126)[:303], false, false},
		"after a close frame":               {frame(0x88, false, 2, 0), false, false}, // RFC 6455 §5.5.1
		"after a frame of 4 GiB has begun":  {huge, false, false},
		"after a mask of a host":            {frame(text, true, 0, 0), false, false},
		"after a frame without a mask":      {frame(text, false, 0, 0), true, false},
		"after what is no frame, and frame": {join(frame(text, true, 0, 0), frame(text, false, 0, 0)), false, false},
	} {
		f := frames{masked: row.mask}
		if f.pass(row.sent); f.open() != row.open {
			t.Errorf("%s: got %t, want %t", name, f.open(), row.open)
		}
		single := frames{masked: row.mask}
		for i := range row.sent {
			single.pass(row.sent[i : i+1])
		}
		if single != f {
			t.Errorf("%s, byte by byte: got %+v, want %+v", name, single, f)
		}
	}
	if size := unsafe.Sizeof(frames{}); size != 8 {
		t.Errorf("it has %d bytes, want 8", size)
	}
}

// readFrames is what frames is measured by: it needs all bytes at once. It returns what
// frames.open has to return after b.
func readFrames(b []byte, mask bool) (open bool) {
	for len(b) > 0 {
		if len(b) < 2 || (b[1]&masked != 0) != mask || b[0]&0x0f == opClose {
			return false
		}
		size, head := uint64(b[1]&^masked), 2
		switch size {
		case 126:
			head = 4
		case 127:
			head = 10
		}
		if len(b) < head {
			return false
		}
		switch head {
		case 4:
			size = uint64(binary.BigEndian.Uint16(b[2:]))
		case 10:
			size = binary.BigEndian.Uint64(b[2:])
		}
		if mask {
			head += maskLength
		}
		if size > uint64(len(b)) || uint64(len(b)) < uint64(head)+size {
			return false
		}
		b = b[uint64(head)+size:]
	}
	return true
}

func FuzzFrames(f *testing.F) {
	for _, mask := range []bool{false, true} {
		f.Add(join(frame(text, mask, 5, 0), frame(ping, mask, 0, 0), frame(0x82, mask, 300, 126)), mask, uint8(7))
		f.Add(frame(text, mask, 1000, 127), mask, uint8(1))
		f.Add(append(frame(text, mask, 1, 0), frame(0x88, mask, 2, 0)...), mask, uint8(3))
		f.Add([]byte{text, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, mask, uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, mask bool, step uint8) {
		at := frames{masked: mask}
		for end := 0; end < len(b); {
			next := min(len(b), end+1+int(step))
			at.pass(b[end:next])
			end = next
			if got, want := at.open(), readFrames(b[:end], mask); got != want {
				t.Fatalf("after %d of %x: got %t, want %t", end, b, got, want)
			}
		}
		if at.open() {
			at.pass(at.appendClose(nil, codeGoingAway, "bye"))
			if at.part != boundary || at.open() {
				t.Errorf("after our own close frame it stands at %+v", at)
			}
		}
	})
}

func TestEveryReasonOfOursHasACloseFrame(t *testing.T) {
	for _, why := range []Reason{ByShutdown, ByUpgrade, ByMaint, ByDrain, ByHostDown, ByMove, ByOperator, ByTimeout} {
		if code, text := why.status(); code == 0 || text == "" || len(text) > maxReason {
			t.Errorf("%s: got %d %q", why, code, text)
		}
	}
	for _, why := range []Reason{ByClient, ByHost, ByFault} {
		if code, text := why.status(); code != 0 || text != "" {
			t.Errorf("%s: got %d %q, want none", why, code, text)
		}
	}
	var f frames
	if got, want := f.appendClose(nil, 1001, strings.Repeat("x", 200)), "\x88\x7d\x03\xe9"+strings.Repeat("x", 123); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// BenchmarkFrames follows what one read of a tunnel may have: a keystroke, and pieces of
// 32 KiB with one frame, with those of a terminal that prints lines, and with the smallest
// that there are.
func BenchmarkFrames(b *testing.B) {
	lines := frame(text, false, 78, 0)
	for name, row := range map[string]struct {
		sent []byte
		mask bool
	}{
		"keystroke": {frame(text, true, 5, 0), true},
		"one":       {frame(text, false, pieceSize-4, 126), false},
		"lines":     {bytes.Repeat(lines, pieceSize/len(lines)), false},
		"smallest":  {bytes.Repeat(frame(ping, false, 0, 0), pieceSize/2), false},
	} {
		b.Run(name, func(b *testing.B) {
			f := frames{masked: row.mask}
			b.SetBytes(int64(len(row.sent)))
			for b.Loop() {
				f.pass(row.sent)
			}
		})
	}
}
