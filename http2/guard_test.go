package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame returns a frame's bytes.
func frame(kind, flags byte, stream uint32, payload string) string {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(b, stream)) + payload
}

// block returns a header block of "name: value" lines.
func block(lines ...string) string {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		_ = e.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return b.String()
}

// pass gives the bytes of all to a new guard, at most cut bytes per call.
func pass(all string, cut int) (out string, err error) {
	g := NewGuard(1 << 20)
	for len(all) > 0 && err == nil {
		n := min(cut, len(all))
		var more []byte
		more, err = g.Pass([]byte(all[:n]), 0)
		out, all = out+string(more), all[n:]
	}
	return out, err
}

func TestFramesAreForwardedUnchanged(t *testing.T) {
	get := block(":method: GET", ":path: /", ":scheme: https", ":authority: x", "te: trailers")
	all := preface + frame(typeSettings, 0, 0, "\x00\x04\x00\x00\x01\x00") + frame(typeSettings, flagAck, 0, "") +
		frame(typeHeaders, flagEndHeaders, 1, get) +
		frame(typeData, 0, 1, strings.Repeat("x", 5000)) + frame(typeData, flagEndStream, 1, "") +
		frame(typeHeaders, 0, 3, get[:3]) + frame(typeContinuation, flagEndHeaders, 3, get[3:]) +
		frame(typeHeaders, flagEndHeaders|flagPadded|flagPriority, 5, "\x03\x00\x00\x00\x00\x10"+get+"\x00\x00\x00") +
		frame(typePing, 0, 0, "12345678") + frame(typeGoAway, 0, 0, "12345678") + frame(0x10, 0, 0, "u=1")
	for _, cut := range []int{1, 2, 7, 9, 100, len(all)} {
		out, err := pass(all, cut)
		if err != nil || out != all {
			t.Errorf("in cuts of %d: %v, %d bytes of %d", cut, err, len(out), len(all))
		}
	}
}

func TestLastOfTwoSettingsCounts(t *testing.T) {
	set := func(id byte, value byte) string { return string([]byte{0, id, 0, 0, 0, value}) }
	out, err := pass(preface+frame(typeSettings, 0, 0, set(4, 100)+set(3, 7)+set(4, 1))+frame(typePing, 0, 0, "12345678"), 5)
	if want := preface + frame(typeSettings, 0, 0, set(3, 7)+set(4, 1)) + frame(typePing, 0, 0, "12345678"); err != nil || out != want {
		t.Errorf("got %q, %v", out, err)
	}
	odd := preface + frame(typeSettings, 0, 0, "12345")
	if out, err := pass(odd, 1); err != nil || out != odd {
		t.Errorf("a malformed frame isn't left to net/http: %q, %v", out, err)
	}
	if _, err := pass(preface+frame(typeSettings, 0, 0, strings.Repeat(set(1, 1), 101)), 64); !errors.As(err, new(Flood)) {
		t.Errorf("a frame of 101 settings: %v", err)
	}
}

func TestConnectionSpecificFieldsEndTheConnection(t *testing.T) {
	for _, line := range []string{
		"connection: close", "keep-alive: 1", "proxy-connection: close", "transfer-encoding: chunked",
		"upgrade: websocket", "http2-settings: x", "te: gzip", "te: trailers, deflate",
	} {
		b := block(":method: GET", line)
		for name, frames := range map[string]string{
			"whole":  frame(typeHeaders, flagEndHeaders, 1, b),
			"cut":    frame(typeHeaders, 0, 1, b[:2]) + frame(typeContinuation, flagEndHeaders, 1, b[2:]),
			"padded": frame(typeHeaders, flagEndHeaders|flagPadded, 1, "\x02"+b+"\x00\x00"),
			"later":  frame(typeHeaders, flagEndHeaders, 1, block(":method: GET")) + frame(typeHeaders, flagEndHeaders, 3, b),
		} {
			if _, err := pass(preface+frames, 4); !errors.Is(err, errHop) {
				t.Errorf("%s, %s: %v", line, name, err)
			}
		}
	}
}

// TestTheGuardChecksFieldsThatNetHTTPConsumes: net/http would answer a malformed request.
func TestTheGuardChecksFieldsThatNetHTTPConsumes(t *testing.T) {
	get := []string{":method: GET", ":path: /"}
	for _, row := range []struct {
		lines []string
		want  error
	}{
		{append(get, "cookie: a=b "), errField},
		{append(get, "expect: \t100-continue"), errField},
		{append(get, "trailer: x "), errField},
		{append(get, "x-a: b "), nil}, // is handed over as it is, for CheckField to refuse
		{append(get, "cookie: "), nil},
		{[]string{"x-a: b "}, errField}, // a trailer section
		{append(get, ":protocol: "), errPseudo},
	} {
		if _, err := pass(preface+frame(typeHeaders, flagEndHeaders, 1, block(row.lines...)), 7); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%q: got %v, want %v", row.lines, err, row.want)
		}
	}
	later := frame(typeHeaders, flagEndHeaders, 1, block(get...)) + frame(typeHeaders, flagEndHeaders|flagEndStream, 1, block("x-a: b "))
	if _, err := pass(preface+later, 7); !errors.Is(err, errField) {
		t.Errorf("after a head: got %v", err)
	}
}

func TestEachBudgetEnds(t *testing.T) {
	for kind, one := range map[Kind]string{
		Reset:        frame(typeReset, 0, 1, "1234"),
		Ping:         frame(typePing, 0, 0, "12345678"),
		Settings:     frame(typeSettings, 0, 0, ""),
		Priority:     frame(typePriority, 0, 1, "12345"),
		WindowUpdate: frame(typeWindowUpdate, 0, 0, "1234"),
		Empty:        frame(typeData, 0, 1, ""),
		Continuation: frame(typeContinuation, 0, 1, "x"),
		Unknown:      frame(0x77, 0, 1, "x"),
	} {
		g := NewGuard(1 << 20)
		_, err := g.Pass([]byte(preface), 0)
		n := 0
		for ; err == nil && n < 1e5; n++ {
			_, err = g.Pass([]byte(one), 0)
		}
		if !errors.Is(err, Flood(kind)) || float64(n) != budgets[kind].burst+1 {
			t.Errorf("%v: after %d frames: %v", kind, n, err)
		}
		if !strings.Contains(fmt.Sprint(err), kind.String()) {
			t.Errorf("%v isn't named: %v", kind, err)
		}
		g = NewGuard(1 << 20)
		_, err = g.Pass([]byte(preface), 0)
		for i := range 5000 { // at its rate, for as long as it likes
			if err == nil {
				_, err = g.Pass([]byte(one), float64(i)/budgets[kind].rate)
			}
		}
		if err != nil {
			t.Errorf("%v, slowly: %v", kind, err)
		}
	}
	g := NewGuard(1 << 20)
	for range int(budgets[Cancelled].burst) {
		if err := g.Cancelled(1); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Cancelled(1); !errors.Is(err, Flood(Cancelled)) {
		t.Error(err)
	}
}

func TestBytesSentEarnWindowUpdates(t *testing.T) {
	g := NewGuard(1 << 20)
	_, err := g.Pass([]byte(preface), 0)
	for i := 0; i < 100000 && err == nil; i++ {
		g.Wrote(2 << 10) // a small piece of a host's
		_, err = g.Pass([]byte(frame(typeWindowUpdate, 0, 0, "1234")+frame(typeWindowUpdate, 0, 1, "1234")), 0)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestHeaderBlockWithoutEndIsAFlood(t *testing.T) {
	g := NewGuard(1 << 20)
	_, err := g.Pass([]byte(preface+frame(typeHeaders, 0, 1, strings.Repeat("x", 16<<10))), 0)
	n := 0
	for ; err == nil; n++ {
		_, err = g.Pass([]byte(frame(typeContinuation, 0, 1, strings.Repeat("x", 16<<10))), 0)
	}
	if !errors.Is(err, Flood(Continuation)) || n > 20 {
		t.Errorf("after %d frames: %v", n, err)
	}
}

// FuzzGuard checks that the sizes of the reads change neither the bytes that Pass
// returns nor its last error.
func FuzzGuard(f *testing.F) {
	f.Add([]byte(preface+frame(typeSettings, 0, 0, "123456123456")+frame(typeHeaders, flagEndHeaders, 1, block(":method: GET", "te: x"))), uint8(3))
	f.Add([]byte(preface+frame(typeHeaders, flagPadded|flagPriority|flagEndHeaders, 1, "\xff12")), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		want, wantErr := pass(string(b), len(b)+1)
		got, err := pass(string(b), int(cut)+1)
		if !errors.Is(err, wantErr) || wantErr == nil && got != want {
			t.Errorf("got %q, %v, want %q, %v", got, err, want, wantErr)
		}
		if err == nil && len(got) > len(b) {
			t.Error("more goes on than came")
		}
	})
}
