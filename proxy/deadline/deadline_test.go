package deadline

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlinesMoveLazilyAndNeverTooFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at time.Time
		sets := 0
		d := New(func(t time.Time) error { at = t; sets++; return nil })
		for range 1000 {
			d.Within(time.Minute)
			if left := time.Until(at); left < time.Minute || left > 75*time.Second {
				t.Fatalf("%v are left", left)
			}
			time.Sleep(time.Second)
		}
		if sets > 70 {
			t.Errorf("set %d times in 1000 s", sets)
		}
		d.Within(time.Second)
		if left := time.Until(at); left > 1250*time.Millisecond {
			t.Errorf("%v are left, want about a second", left)
		}
	})
}

func TestADeadlineThatOthersHaveMovedIsSetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		d := New(near.SetReadDeadline)
		d.Within(time.Minute)
		_ = near.SetReadDeadline(time.Unix(1, 0))
		d.Forget()
		d.Within(time.Minute)
		begin := time.Now()
		_, err := near.Read(make([]byte, 1))
		if took := time.Since(begin); !Exceeded(err) || took != 75*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		if !d.Passed() {
			t.Error("it hasn't passed")
		}
		d.Set(time.Now().Add(time.Second))
		if d.Passed() {
			t.Error("it has passed before its time")
		}
	})
}

func TestExceededIsForDeadlinesOnly(t *testing.T) {
	for err, want := range map[error]bool{
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}: true,
		net.ErrClosed: false,
		nil:           false,
	} {
		if got := Exceeded(err); got != want {
			t.Errorf("%v: got %t", err, got)
		}
	}
}

func TestATimerExpiresWhenItsLastDeadlineHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := make(chan time.Duration, 9)
		begin := time.Now()
		timer := &Timer{Expire: func() { expired <- time.Since(begin) }}
		_ = timer.Set(begin.Add(time.Second))
		_ = timer.Set(begin.Add(3 * time.Second))
		if after := <-expired; after != 3*time.Second {
			t.Errorf("expired after %v, want 3s", after)
		}
		_ = timer.Set(time.Now().Add(time.Second))
		timer.Stop()
		_ = timer.Set(time.Now().Add(time.Second))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(expired) != 0 {
			t.Error("it has expired once more, or after Stop")
		}
	})
}
