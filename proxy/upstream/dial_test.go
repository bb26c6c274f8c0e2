package upstream

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestErrorsOfThisMachineAreLocal(t *testing.T) {
	wrap := func(err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)})
	}
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if !IsLocal(wrap(err)) {
			t.Errorf("%v is taken for the host's", err)
		}
	}
	for _, err := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ETIMEDOUT, os.ErrDeadlineExceeded} {
		if IsLocal(wrap(err)) {
			t.Errorf("%v is taken for ours", err)
		}
	}
}
