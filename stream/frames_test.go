package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/session"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A recorded is a connection that keeps what is written, and has bytes to be read.
type recorded struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (r *recorded) Read(b []byte) (int, error)       { return r.in.Read(b) }
func (r *recorded) Write(b []byte) (int, error)      { return r.out.Write(b) }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }

// A frame is what a frameReader has read.
type frame struct {
	kind    byte
	payload []byte
}

// bytesOf returns frames as they are sent.
func bytesOf(frames ...frame) []byte {
	var conn recorded
	w := &frameWriter{conn: &conn}
	for _, f := range frames {
		w.add(f.kind, f.payload)
	}
	_ = w.flush() // can't fail
	return conn.out.Bytes()
}

// framesOf returns the frames that are in b.
func framesOf(b []byte) (all []frame, err error) {
	r := newFrameReader(&recorded{in: bytes.NewReader(b)}, time.Second)
	for {
		kind, payload, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, frame{kind, bytes.Clone(payload)})
	}
}

// reportFrames returns the frames of reports.
func reportFrames(e *reportEncoder, reports ...session.Report) (all []frame) {
	e.encode(reports, func(kind byte, payload []byte, _ int) { all = append(all, frame{kind, bytes.Clone(payload)}) })
	return all
}

// decode returns the reports that frames have.
func decode(d *reportDecoder, frames ...frame) (all []session.Report, err error) {
	for _, f := range frames {
		switch f.kind {
		case kindHosts:
			err = d.readHosts(f.payload)
		case kindReports:
			var some []session.Report
			some, err = d.readReports(f.payload)
			all = append(all, some...)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

var someReports = []session.Report{
	on(1, "ide-1", 1),
	{Digest: digest(2), Host: "ide-2", Address: "10.0.0.2:4000", Terminals: 1<<31 - 1},
	{Digest: digest(3), Host: "ide-1", Address: "ide-1.example:4000", Hash: 1<<64 - 1, Hashed: true},
	{Digest: digest(4), Host: "ide-2", Address: "10.0.0.3:4000", Terminals: 2},
	on(1, "", 0),
	{Digest: digest(5), Host: "ide-1", Age: 1}, // it lingers
	{Digest: digest(6), Host: "ide-1", Age: 1<<32 - 1},
}

// TestEncodedForms holds what this version sends equal to testdata/stream, which every later
// version must be able to read. With -update it writes that anew.
func TestEncodedForms(t *testing.T) {
	me := hello{version: wireVersion, name: "lb-1", boot: 0x0102030405060708, keyID: [8]byte{9, 8, 7, 6, 5, 4, 3, 2}}
	opener := []frame{{kindHello, me.append(nil)}}
	opener = append(opener, reportFrames(newReportEncoder(), someReports...)...)
	opener = append(opener, frame{kindSnapshotEnd, nil}, frame{kindPing, appendNumber(nil, 5)},
		frame{kindQuestion, question{id: 3, kind: "certificate", body: []byte("ide.example.com")}.append(nil)})
	for name, frames := range map[string][]frame{
		"opener.hex": opener,
		"acceptor.hex": {
			{kindHello, me.append(nil)},
			{kindAck, appendNumber(nil, 300)},
			{kindAnswer, part{id: 3, body: []byte("first ")}.append(nil)},
			{kindAnswer, part{id: 3, flags: answerLast, body: []byte("last")}.append(nil)},
			{kindAnswer, part{id: 4, flags: answerLast | answerError, body: []byte("none")}.append(nil)},
			{kindRefusal, appendText(nil, "it has another secret")},
		},
	} {
		path := filepath.Join("../testdata/stream", name)
		got := hex.Dump(bytesOf(frames...))
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		read, err := framesOf(bytesOf(frames...))
		if !errors.Is(err, io.EOF) || !cmp.Equal(read, frames, cmp.AllowUnexported(frame{}), cmp.Comparer(bytes.Equal)) {
			t.Errorf("%s: they come back as %v, %v", name, read, err)
		}
	}
}

func TestWhatIsEncodedComesBack(t *testing.T) {
	got, err := decode(new(reportDecoder), reportFrames(newReportEncoder(), someReports...)...)
	if diff := cmp.Diff(someReports, got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	h := hello{version: 1, name: "lb-1", boot: 1<<64 - 1, keyID: [8]byte{1}}
	if got, err := readHello(h.append(nil)); err != nil || got != h {
		t.Errorf("got %+v, %v", got, err)
	}
	q := question{id: 7, kind: strings.Repeat("k", maxKind), body: bytes.Repeat([]byte{1}, maxQuestion)}
	if got, err := readQuestion(q.append(nil)); err != nil || got.id != q.id || got.kind != q.kind || !bytes.Equal(got.body, q.body) || len(q.append(nil)) > maxPayload {
		t.Errorf("a question of %d bytes comes back as %d %s with %d bytes, %v", len(q.body), got.id, got.kind, len(got.body), err)
	}
	p := part{id: 7, flags: answerLast, body: bytes.Repeat([]byte{1}, answerPart)}
	if got, err := readPart(p.append(nil)); err != nil || got.id != p.id || got.flags != p.flags || !bytes.Equal(got.body, p.body) {
		t.Errorf("a part comes back as %d, %d with %d bytes, %v", got.id, got.flags, len(got.body), err)
	}
}

func TestAReportTakesFewBytes(t *testing.T) {
	e := newReportEncoder()
	var all []session.Report
	for i := range 10_000 {
		all = append(all, session.Report{Digest: digest(i), Host: hostName(i % 1000), Address: "10.0.0.1:4000", Hash: 1 << 63, Hashed: true, Terminals: 1})
	}
	size := 0
	for _, f := range reportFrames(e, all...) {
		if size += len(f.payload); len(f.payload) > maxPayload/2 {
			t.Errorf("a frame has %d bytes", len(f.payload))
		}
	}
	if per := size / len(all); per > 40 {
		t.Errorf("%d bytes for each report", per)
	}
}

// TestNumbersOfHostsAreUsedAgain: hosts come and go for months, and the other end remembers
// some thousands of them.
func TestNumbersOfHostsAreUsedAgain(t *testing.T) {
	e, d := newReportEncoder(), new(reportDecoder)
	var want []session.Report
	for i := range 2*maxHosts + 10 {
		want = append(want, session.Report{Digest: digest(i), Host: hostName(i), Address: "10.0.0.1:1", Terminals: 1})
	}
	got, err := decode(d, reportFrames(e, want...)...)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d reports come back as %d others, %v", len(want), len(got), err)
	}
	if len(d.hosts) > maxHosts || len(e.numbers) > maxHosts {
		t.Errorf("%d and %d hosts are remembered", len(d.hosts), len(e.numbers))
	}
	next := appendText(appendText(binary.AppendUvarint(nil, maxHosts), "ide-1"), "10.0.0.1:1")
	if err := d.readHosts(append([]byte{1}, appendText(nil, next)...)); err == nil {
		t.Errorf("host %d is taken", len(d.hosts)-1)
	}
}

// TestALaterVersionIsUnderstood: it sends kinds of frames and fields that this one doesn't
// know.
func TestALaterVersionIsUnderstood(t *testing.T) {
	longer := func(record []byte) []byte { return appendText(nil, append(record, "later"...)) }
	host := longer(appendText(appendText([]byte{0}, "ide-1"), "10.0.0.1:1"))
	key := digest(1)
	report := longer(append(append(key[:], 0xf0|reportHost, 1), 3, 0)) // with unknown flags, 3 terminals on host 0
	frames := []frame{
		{kindHosts, append(append([]byte{1}, host...), "more"...)},
		{99, []byte("a kind of frame")},
		{kindReports, append(append([]byte{1}, report...), "more"...)},
	}
	got, err := decode(new(reportDecoder), frames...)
	want := []session.Report{{Digest: digest(1), Host: "ide-1", Address: "10.0.0.1:1", Terminals: 3}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	h := hello{version: 9, name: "lb-1", boot: 5}
	if got, err := readHello(append(h.append(nil), "more"...)); err != nil || got != h {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFramesThatCannotBeReadAreRefused(t *testing.T) {
	record := func(b ...byte) []byte { return append([]byte{1}, appendText(nil, b)...) }
	key := digest(1)
	reportOf := func(b ...byte) []byte { return record(append(key[:], b...)...) }
	entry := func(n byte, name, address string) []byte {
		return record(appendText(appendText([]byte{n}, name), address)...)
	}
	for _, row := range []struct {
		name    string
		kind    byte
		payload []byte
		want    string
	}{
		{"no number of hosts", kindHosts, nil, "ends within a field"},
		{"too many hosts", kindHosts, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, "too great"},
		{"more hosts than there are", kindHosts, []byte{2, 0}, "ends within a field"},
		{"a host that is cut", kindHosts, record(0, 5, 'a'), "ends within a field"},
		{"a host with a gap before it", kindHosts, entry(2, "ide-1", "a:1"), "host 2 comes after -1"},
		{"a host without a name", kindHosts, entry(0, "", "a:1"), "the name is empty"},
		{"a host with a strange name", kindHosts, entry(0, "a\nb", "a:1"), "must begin"},
		{"a host with a strange address", kindHosts, entry(0, "ide-1", "a b"), "isn't an address"},
		{"a long address", kindHosts, entry(0, "ide-1", strings.Repeat("a", maxAddress+1)), "too great"},
		{"a report that is cut", kindReports, record(1, 2, 3), "ends within a field"},
		{"a report on an unknown host", kindReports, reportOf(reportHost, 1, 0), "the number 0, which wasn't told"},
		{"terminals on no host", kindReports, reportOf(0, 1), "1 terminals on no host"},
		{"too many terminals", kindReports, reportOf(0, 0xff, 0xff, 0xff, 0xff, 0x0f), "too great"},
		{"a report without its hash", kindReports, reportOf(reportHashed, 0, 1), "ends within a field"},
		{"a number of eleven bytes", kindReports, bytes.Repeat([]byte{0xff}, 11), "too great"},
	} {
		_, err := decode(new(reportDecoder), frame{row.kind, row.payload})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want it to say %q", row.name, err, row.want)
		}
	}
	for name, payload := range map[string][]byte{
		"empty":         nil,
		"no version":    hello{name: "lb-1"}.append(nil),
		"no name":       hello{version: 1}.append(nil),
		"a long name":   hello{version: 1, name: strings.Repeat("a", 65)}.append(nil),
		"a broken name": hello{version: 1, name: "a b"}.append(nil),
		"cut":           hello{version: 1, name: "lb-1"}.append(nil)[:15],
	} {
		if h, err := readHello(payload); err == nil {
			t.Errorf("%s: it is read as %+v", name, h)
		}
	}
}

// TestALongFrameIsRefusedBeforeItComes: nobody has memory reserved for what he only promises.
func TestALongFrameIsRefusedBeforeItComes(t *testing.T) {
	for _, size := range []uint64{maxPayload + 1, 1 << 40, 1<<64 - 1} {
		r := newFrameReader(&recorded{in: bytes.NewReader(binary.AppendUvarint([]byte{kindReports}, size))}, time.Second)
		if _, _, err := r.next(); err == nil || !strings.Contains(err.Error(), "at most 65536") || cap(r.payload) > 0 {
			t.Errorf("%d bytes: got %v, and %d bytes are reserved", size, err, cap(r.payload))
		}
	}
	if all, err := framesOf(bytesOf(frame{99, make([]byte, maxPayload)})); len(all) != 1 || !errors.Is(err, io.EOF) {
		t.Errorf("the longest frame: got %d, %v", len(all), err)
	}
}

// FuzzFrames reads what an end may send, as both ends would. What can be read as reports is
// the same after it was encoded and read again.
func FuzzFrames(f *testing.F) {
	f.Add(bytesOf(reportFrames(newReportEncoder(), someReports...)...))
	f.Add(bytesOf(frame{kindHello, hello{version: 1, name: "lb-1"}.append(nil)}, frame{kindPing, []byte{2}}, frame{kindSnapshotEnd, nil},
		frame{kindQuestion, question{1, "kind", []byte("body")}.append(nil)}))
	f.Add(bytesOf(frame{kindAck, []byte{200, 1}}, frame{kindAck, appendTaken(nil, 7, noon)}, frame{kindAnswer, part{1, answerLast, []byte("body")}.append(nil)}, frame{kindRefusal, appendText(nil, "no")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, _ := framesOf(b)
		for _, fr := range frames {
			_, _ = readHello(fr.payload)
			_, _ = readNumber(fr.payload)
			_, _, _ = readTaken(fr.payload)
			_, _ = readQuestion(fr.payload)
			_, _ = readPart(fr.payload)
			_ = readRefusal(fr.payload)
		}
		d := new(reportDecoder)
		want, err := decode(d, frames...)
		if len(d.hosts) > maxHosts {
			t.Errorf("%d hosts", len(d.hosts))
		}
		if err != nil {
			return
		}
		got, err := decode(new(reportDecoder), reportFrames(newReportEncoder(), want...)...)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	})
}
