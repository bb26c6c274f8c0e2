package route

import (
	"errors"
	"fmt"
	"strings"
)

// MaxPoolName bounds the name of a pool, in bytes. With it, a host that has the name of its
// IPv6 address is within MaxName.
const MaxPoolName = 16

// MainPool is the name of the main pool in the configuration and in what operators see. The
// names of its hosts have no pool in front.
const MainPool = "pool"

// CheckPoolName returns what is wrong with the name of a pool beside the main one, nil if
// nothing. It has 1 to 16 small letters, digits and '-', and begins with a letter or a digit.
func CheckPoolName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a pool is empty")
	case name == MainPool:
		return fmt.Errorf("%q is the main pool, which has a section of its own", name)
	case len(name) > MaxPoolName:
		return fmt.Errorf("the name of the pool has %d bytes, at most %d are possible", len(name), MaxPoolName)
	}
	for i := range len(name) {
		c := name[i]
		if alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'; !alphanumeric && (i == 0 || c != '-') {
			return fmt.Errorf("the pool %q must begin with a small letter or a digit and consist of small letters, digits and '-'", name)
		}
	}
	return nil
}

// CheckHostName returns what is wrong with the name of a host, nil if nothing: it is a name as
// CheckName has it, after POOL/ if the host isn't of the main pool. Both together have at most
// MaxName bytes.
func CheckHostName(name string) error {
	pool, rest := SplitHost(name)
	if pool == "" && !strings.HasPrefix(name, "/") {
		return CheckName(name)
	}
	if err := CheckPoolName(pool); err != nil {
		return err
	}
	if len(name) > MaxName {
		return fmt.Errorf("the name has %d bytes, at most %d are possible", len(name), MaxName)
	}
	return CheckName(rest)
}

// SplitHost returns the pool of a host and the host's name in it. The pool is "" for the main
// one.
func SplitHost(name string) (pool, rest string) {
	if pool, rest, ok := strings.Cut(name, "/"); ok {
		return pool, rest
	}
	return "", name
}

// PoolOf returns the pool of a host by the host's name; "" for the main one.
func PoolOf(host string) string {
	pool, _ := SplitHost(host)
	return pool
}

// InPool returns the name of a host of a pool; "" is the main one.
func InPool(pool, host string) string {
	if pool == "" {
		return host
	}
	return pool + "/" + host
}
