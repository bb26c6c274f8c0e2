package lastwrite

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoWriteOutlastsTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c, began := &Conn{Conn: near}, time.Now()
		done := make(chan error)
		go func() { _, err := c.Write([]byte("x")); done <- err }()
		synctest.Wait()
		c.EndWrites(began.Add(time.Second))
		c.EndWrites(began.Add(time.Minute))
		for _, later := range []time.Time{{}, began.Add(time.Hour)} {
			if err := errors.Join(c.SetWriteDeadline(later), c.SetDeadline(later)); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the write in progress ends after %v with %v", time.Since(began), err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a later write ends with %v", err)
		}
	})
}

// An interrupted connection calls meanwhile once, before it sets a write deadline.
type interrupted struct {
	net.Conn
	meanwhile func()
	deadline  time.Time
}

func (c *interrupted) SetWriteDeadline(t time.Time) error {
	if do := c.meanwhile; do != nil {
		c.meanwhile = nil
		do()
	}
	c.deadline = t
	return nil
}

func TestADeadlineThatIsSetMeanwhileDoesntReplaceTheBound(t *testing.T) {
	began := time.Unix(1e9, 0)
	for name, later := range map[string]time.Time{"later": began.Add(time.Hour), "none": {}} {
		t.Run(name, func(t *testing.T) {
			below := &interrupted{}
			c := &Conn{Conn: below}
			below.meanwhile = func() { c.EndWrites(began) }
			if err := c.SetWriteDeadline(later); err != nil {
				t.Fatal(err)
			}
			if !below.deadline.Equal(began) {
				t.Errorf("the deadline is %v, want %v", below.deadline, began)
			}
		})
	}
}
