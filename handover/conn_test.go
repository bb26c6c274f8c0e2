package handover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// join returns two Conns that are joined, and runs them with the handlers until the test
// ends.
func join(t *testing.T, ofA, ofB Handler) (a, b *Conn) {
	t.Helper()
	aFile, bFile, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = New(aFile); err != nil {
		t.Fatal(err)
	}
	if b, err = New(bFile); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- a.Run(t.Context(), ofA) }()
	go func() { ended <- b.Run(t.Context(), ofB) }()
	t.Cleanup(func() {
		a.Close()
		b.Close()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return a, b
}

func none(context.Context, Message) (Reply, error) { return Reply{}, errors.New("nobody calls") }

func TestACallIsAnswered(t *testing.T) {
	t.Parallel()
	a, _ := join(t, none, func(_ context.Context, m Message) (Reply, error) {
		var text string
		if err := m.Decode(&text); err != nil {
			return Reply{}, err
		}
		if text == "" {
			return Reply{}, errors.New("nothing to repeat")
		}
		return Reply{Body: m.Kind + " " + text}, nil
	})
	for _, text := range []string{"x", strings.Repeat("long ", 1<<18)} { // one packet, and twenty
		var got string
		if _, err := a.Call(t.Context(), "repeat", text, &got); err != nil || got != "repeat "+text {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	if _, err := a.Call(t.Context(), "repeat", "", nil); err == nil || err.Error() != "nothing to repeat" {
		t.Errorf("got %v", err)
	}
	if _, err := a.Call(t.Context(), "repeat", 7, nil); err == nil || !strings.Contains(err.Error(), "repeat: json") {
		t.Errorf("got %v", err)
	}
}

func TestFilesArePassed(t *testing.T) {
	t.Parallel()
	a, _ := join(t, none, func(_ context.Context, m Message) (Reply, error) {
		defer CloseAll(m.Files)
		text, err := io.ReadAll(m.Files[0])
		if err != nil {
			return Reply{}, err
		}
		read, write, err := os.Pipe()
		if err != nil {
			return Reply{}, err
		}
		defer write.Close()
		_, err = write.Write(bytes.ToUpper(text))
		return Reply{Files: []*os.File{read}}, err
	})
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.WriteString("through a pipe"); err != nil {
		t.Fatal(err)
	}
	write.Close()
	files, err := a.Call(t.Context(), "upper", nil, nil, read)
	read.Close()
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	defer CloseAll(files)
	if got, err := io.ReadAll(files[0]); string(got) != "THROUGH A PIPE" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestNoticesKeepTheirOrder: a call that is sent after notices is handled after them.
func TestNoticesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var seen []int
	a, _ := join(t, none, func(_ context.Context, m Message) (Reply, error) {
		var n int
		if m.Kind == "how many" {
			return Reply{Body: seen}, nil
		}
		err := m.Decode(&n)
		seen = append(seen, n)
		return Reply{}, err
	})
	const notices = 1000
	for i := range notices {
		if err := a.Notify("count", i); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	if _, err := a.Call(t.Context(), "how many", nil, &got); err != nil || len(got) != notices {
		t.Fatalf("%d notices, %v", len(got), err)
	}
	for i, n := range got {
		if i != n {
			t.Fatalf("notice %d came as number %d", n, i)
		}
	}
}

// TestCallsEndWithTheOtherProcess: who waits for an answer isn't left waiting.
func TestCallsEndWithTheOtherProcess(t *testing.T) {
	t.Parallel()
	called := make(chan struct{})
	a, b := join(t, none, func(ctx context.Context, _ Message) (Reply, error) {
		close(called)
		<-ctx.Done()
		return Reply{}, ctx.Err()
	})
	go func() {
		<-called
		b.Close()
	}()
	if _, err := a.Call(t.Context(), "wait", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	if _, err := a.Call(t.Context(), "again", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("later: got %v", err)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a, _ := join(t, none, func(ctx context.Context, _ Message) (Reply, error) {
		<-ctx.Done()
		return Reply{}, ctx.Err()
	})
	why := errors.New("too slow")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, why)
	defer cancel()
	if _, err := a.Call(ctx, "wait", nil, nil); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// TestOnlyAnEndOfAPairIsTaken: a file of another kind is refused, not used.
func TestOnlyAnEndOfAPairIsTaken(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if c, err := New(read); err == nil {
		c.Close()
		t.Error("a pipe was taken")
	}
}

func TestAMessageThatIsTooLargeIsRefused(t *testing.T) {
	a, _ := join(t, none, none)
	files := make([]*os.File, maxFiles+1)
	if err := a.Notify("files", nil, files...); err == nil {
		t.Error("too many files were sent")
	}
	if err := a.Notify(strings.Repeat("k", 256), nil); err == nil {
		t.Error("too long a kind was sent")
	}
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 'k', 'd', '{', '}'})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 255})
	f.Fuzz(func(t *testing.T, packet []byte) {
		h, body, err := parse(packet)
		if err == nil && headSize+len(h.kind)+len(body) != len(packet) {
			t.Errorf("%d bytes were read of %d", headSize+len(h.kind)+len(body), len(packet))
		}
	})
}

// TestAHalfReadMessageIsReadToItsEnd: Run may end when a part of a message has come. The next
// Run mustn't take the rest for another message.
func TestAHalfReadMessageIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	aFile, bFile, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(aFile)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := New(bFile)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan string, 3), make(chan error, 1)
	handle := func(_ context.Context, m Message) (Reply, error) {
		got <- string(m.Body)
		return Reply{}, nil
	}
	go func() { ended <- b.Run(ctx, handle) }()
	if err := a.Notify("first", "1"); err != nil { // Run has begun
		t.Fatal(err)
	}
	<-got
	if err := a.sendPacket(header{hasMore, 0, "text"}, []byte(`"ha`), nil); err != nil {
		t.Fatal(err)
	}
	for b.waiting() { // until the part is read
		runtime.Gosched()
	}
	cancel()
	if err := a.sendPacket(header{0, 0, "text"}, []byte(`lf"`), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != `"half"` {
		t.Errorf("got %s", text)
	}
	if err := a.Notify("next", 2); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- b.Run(t.Context(), handle) }()
	if text := <-got; text != "2" {
		t.Errorf("the next Run got %s", text)
	}
	a.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waiting reports whether a packet waits to be read.
func (c *Conn) waiting() bool {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n > 0
}

// TestFilesThatNobodyHandlesAreClosed: a message of another version may bring some.
func TestFilesThatNobodyHandlesAreClosed(t *testing.T) {
	t.Parallel()
	a, _ := join(t, none, none)
	for name, send := range map[string]func(f *os.File) error{
		"notice": func(f *os.File) error { return a.Notify("unknown", nil, f) },
		"call": func(f *os.File) error {
			_, err := a.Call(t.Context(), "unknown", nil, nil, f)
			if err == nil {
				return errors.New("it was handled")
			}
			return nil
		},
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := send(write); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		write.Close()
		_ = read.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := read.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // the end comes when all copies are closed
			t.Errorf("%s: got %v", name, err)
		}
		read.Close()
	}
}

// TestAProcessThatHangsIsAskedOnce: questions that pile up would make it count as gone. When
// it goes on, it is asked again.
func TestAProcessThatHangsIsAskedOnce(t *testing.T) {
	t.Parallel()
	hang, asked := make(chan struct{}), make(chan struct{}, 16)
	a, _ := join(t, none, func(context.Context, Message) (Reply, error) {
		asked <- struct{}{}
		<-hang
		return Reply{Body: 7}, nil
	})
	for range 3 {
		if err := a.Ask(t.Context(), time.Millisecond, "status", nil, nil); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("got %v", err)
		}
	}
	<-asked
	if len(asked) != 0 {
		t.Error("it was asked again")
	}
	close(hang)
	var got int
	for got == 0 {
		if err := a.Ask(t.Context(), 10*time.Second, "status", nil, &got); err != nil && !errors.Is(err, ErrNoAnswer) {
			t.Fatal(err)
		}
	}
	if got != 7 {
		t.Errorf("got %d", got)
	}
}

// TestTheLastWordsOfAProcessAreHeard, though it hasn't read what it was asked before its end:
// the kernel tells that first.
func TestTheLastWordsOfAProcessAreHeard(t *testing.T) {
	t.Parallel()
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := New(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Notify("asked", nil); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"first", "last"} {
		if err := b.Notify(word, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.Close() // with "asked" unread
	if err := a.Notify("asked again", nil); !errors.Is(err, ErrGone) {
		t.Errorf("asked after its end: %v", err)
	}
	var heard []string
	if err := a.Run(t.Context(), func(_ context.Context, m Message) (Reply, error) {
		heard = append(heard, m.Kind)
		return Reply{}, nil
	}); err != nil {
		t.Error(err)
	}
	if len(heard) != 2 || heard[0] != "first" || heard[1] != "last" {
		t.Errorf("heard %q", heard)
	}
}
