package proxy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
	h2 "golang.org/x/net/http2"
)

// A keyUpdater is a TLS 1.3 client of which a test writes each record: crypto/tls
// has no way to send a KeyUpdate (RFC 8446 §4.6.3). Reading is left to crypto/tls,
// and so is all that is written before take is called.
type keyUpdater struct {
	*wire
	tls    *tls.Conn
	log    bytes.Buffer
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// dialKeyUpdater connects to the lab with a small receive buffer, so that what the
// lab can't send soon waits in the lab.
func (l *lab) dialKeyUpdater(protocols ...string) *keyUpdater {
	l.t.Helper()
	small := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}
	nc, err := (&net.Dialer{Control: small}).Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { reset(nc) })
	k := &keyUpdater{}
	k.tls = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &k.log, NextProtos: protocols})
	k.wire = newWire(l.t, k.tls)
	return k
}

// take begins to write records by hand, after crypto/tls has written so many.
func (k *keyUpdater) take(records uint64) {
	k.t.Helper()
	_, after, _ := strings.Cut(k.log.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	line, _, _ := strings.Cut(after, "\n")
	_, secret, _ := strings.Cut(line, " ")
	var err error
	if k.secret, err = hex.DecodeString(secret); err != nil || len(k.secret) != sha256.Size {
		k.t.Fatalf("a secret of %d bytes: %v", len(k.secret), err)
	}
	k.rekey()
	k.seq = records
}

// rekey derives the keys from the secret (RFC 8446 §7.3).
func (k *keyUpdater) rekey() {
	k.t.Helper()
	var err error
	k.iv, k.seq = k.expand("iv", 12), 0
	switch suite := k.tls.ConnectionState().CipherSuite; suite {
	case tls.TLS_AES_128_GCM_SHA256:
		block, _ := aes.NewCipher(k.expand("key", 16))
		k.aead, err = cipher.NewGCM(block)
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		k.aead, err = chacha20poly1305.New(k.expand("key", 32))
	default:
		k.t.Fatalf("no test for the suite %#x", suite)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
func (k *keyUpdater) expand(label string, size int) []byte {
	info := append([]byte{0, byte(size), byte(len("tls13 " + label))}, "tls13 "+label+"\x00"...)
	out, err := hkdf.Expand(sha256.New, k.secret, string(info), size)
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// record returns a record with that content.
func (k *keyUpdater) record(kind byte, content string) []byte {
	inner := append([]byte(content), kind)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+k.aead.Overhead()))
	nonce := bytes.Clone(k.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, k.seq) {
		nonce[len(nonce)-8+i] ^= b
	}
	k.seq++
	return k.aead.Seal(head, nonce, inner, head)
}

// updates returns n key updates, of which each asks for one in return.
func (k *keyUpdater) updates(n int) []byte {
	var all []byte
	for range n {
		all = append(all, k.record(22, "\x18\x00\x00\x01\x01")...)
		k.secret = k.expand("traffic upd", sha256.Size)
		k.rekey()
	}
	return all
}

// data returns a record of application data.
func (k *keyUpdater) data(text string) []byte { return k.record(23, text) }

// manyUpdates returns turns of as many key updates as crypto/tls takes without a
// byte of data between them, and that byte.
func (k *keyUpdater) manyUpdates(turns int) []byte {
	const most = 16
	var all []byte
	for range turns {
		all = append(append(all, k.updates(most)...), k.data("x")...)
	}
	return all
}

// TestKeyUpdateAfterALongPauseIsAnswered: the deadline of the last answer has
// passed by then, which is no reason to fail.
func TestKeyUpdateAfterALongPauseIsAnswered(t *testing.T) {
	l := start(t, func(l *lab) {
		withTLS(t, nil)(l)
		l.cfg.Timeouts.Body = 20 * time.Millisecond
	}, newHost(t, "a"))
	k := l.dialKeyUpdater()
	k.send(get("/first")).want(200)
	k.take(1)
	time.Sleep(100 * time.Millisecond)
	_, _ = k.tls.NetConn().Write(append(k.updates(1), k.data(get("/second"))...))
	k.want(200)
}

// TestClientThatTakesNoAnswersToKeyUpdatesTimesOut, although it sends, before
// there is a request that could be answered.
func TestClientThatTakesNoAnswersToKeyUpdatesTimesOut(t *testing.T) {
	t.Parallel()
	const begins = "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + // SETTINGS
		"\x00\x3e\x80\x01\x04\x00\x00\x00\x01" // HEADERS of 16000 bytes
	for _, tt := range []struct {
		protocol, head string
		change         func(*lab)
	}{
		{"http/1.1", "GET / HTTP/1.1\r\nA: ", withTLS(t, nil)},
		{"h2", h2.ClientPreface + begins, speaksH2(t)},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			t.Parallel()
			l := start(t, func(l *lab) {
				tt.change(l)
				l.ln = listenWithSmallBuffer(t)
				l.cfg.Timeouts.Body = 50 * time.Millisecond
			}, newHost(t, "a"))
			k := l.dialKeyUpdater(tt.protocol)
			k.send(tt.head)
			k.take(1)
			for range 2000 {
				if len(push(k.tls.NetConn(), append(k.updates(16), k.data("x")...))) > 0 {
					break
				}
			}
			eventually(t, "its end", func() bool { return gaugeValue(l, "lb_connections") == 0 })
		})
	}
}

// listenWithSmallBuffer returns a listener whose connections soon take no more from
// us.
func listenWithSmallBuffer(t *testing.T) net.Listener {
	small := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10) })
	}
	ln, err := (&net.ListenConfig{Control: small}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// neverWhole returns the greater part of a handshake message as long as crypto/tls
// takes them.
func (k *keyUpdater) neverWhole() []byte {
	const certificate = "\x0b\x03\xff\xff" // and its length
	all := k.record(22, certificate+strings.Repeat("x", 16000))
	for range 14 {
		all = append(all, k.record(22, strings.Repeat("x", 16000))...)
	}
	return all
}

// TestLongMessageAfterTheHandshakeIsNotBuffered: nobody reads it, and its connection would
// have its quarter of a megabyte for as long as it lives.
func TestLongMessageAfterTheHandshakeIsNotBuffered(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			l := start(t, speaksH2(t), newHost(t, "a"))
			k := l.dialKeyUpdater(protocol)
			_ = k.tls.Handshake()
			k.take(0)
			push(k.tls.NetConn(), k.neverWhole())
			eventually(t, "the connection's end", func() bool { return gaugeValue(l, "lb_connections") == 0 })
		})
	}
}
