package route

import (
	"cmp"
	"errors"
)

// ErrRekey is an error of a request for a Rekey: nothing was changed.
var ErrRekey = errors.New("the key isn't replaced")

// A Rekey is what an operator says of the key by which balancers know a host.
type Rekey struct {
	Host   string
	Key    HostKey // from now on; zero for the one with which the host was refused
	Forget bool    // the next key with which the host is announced is its key; Key is zero
	Reason string  // at most MaxReason bytes of UTF-8
	By     string  // at most MaxBy bytes of UTF-8; not empty
}

// Check returns what is wrong with r, nil if nothing.
func (r Rekey) Check() error {
	switch {
	case r.By == "":
		return errors.New("it doesn't say which operator wants it")
	case r.Forget && !r.Key.IsZero():
		return errors.New("a key can't be set and forgotten at once")
	}
	return cmp.Or(CheckHostName(r.Host), Override{Reason: r.Reason, By: r.By}.checkTexts())
}
