package route

import (
	"cmp"
	"errors"
	"fmt"
)

// ErrHostEdit is an error of a request for a HostEdit that can't be made as things are:
// nothing was changed.
var ErrHostEdit = errors.New("no host was changed")

// A HostEdit is a change of the hosts that operators have added to one balancer. Fields that
// are "" or nil leave what they are about as it is.
type HostEdit struct {
	Action  HostAction
	Name    string
	Address string // host:port
	Weight  *int   // 0..MaxWeight; of a host that is added 1, if nil
	ID      *uint32
	Zone    *string
	Reason  string // at most MaxReason bytes of UTF-8
	By      string // at most MaxBy bytes of UTF-8
}

// A HostAction is what a HostEdit does with its host.
type HostAction string

// The actions.
const (
	AddHost    HostAction = "add"
	SetHost    HostAction = "set"
	RemoveHost HostAction = "remove"
)

// Check returns what is wrong with e, nil if nothing.
func (e HostEdit) Check() error {
	return cmp.Or(CheckHostName(e.Name), e.checkAction(), e.checkValues(), Override{Reason: e.Reason, By: e.By}.checkTexts())
}

// checkAction returns whether the action can have the values that there are.
func (e HostEdit) checkAction() error {
	sets := e.Address != "" || e.Weight != nil || e.ID != nil || e.Zone != nil
	switch e.Action {
	case AddHost:
		if e.Address == "" {
			return errors.New("it has no address: host:port of the host's service")
		}
	case SetHost:
		if !sets {
			return errors.New("nothing would change: it sets neither an address, a weight, an id nor a zone")
		}
	case RemoveHost:
		if sets {
			return errors.New("a host that is removed has nothing that could be set")
		}
	default:
		return fmt.Errorf("there is no action %.20q: add, set, remove", string(e.Action))
	}
	return nil
}

func (e HostEdit) checkValues() error {
	if e.Address != "" {
		if err := CheckTarget(e.Address); err != nil {
			return err
		}
		if len(e.Address) > MaxAddress {
			return fmt.Errorf("the address has %d bytes, at most %d are possible", len(e.Address), MaxAddress)
		}
	}
	if e.Weight != nil {
		if err := (Spec{Weight: *e.Weight}).CheckWeight(); err != nil {
			return err
		}
	}
	if e.Zone == nil {
		return nil
	}
	if len(*e.Zone) > MaxZone {
		return fmt.Errorf("the zone has %d bytes, at most %d are possible", len(*e.Zone), MaxZone)
	}
	if !isText(*e.Zone) {
		return errors.New("the zone must be UTF-8 without control characters")
	}
	return nil
}

// Of returns the host as it is after e, before which it was s. For a host that is added, s
// is zero.
func (e HostEdit) Of(s Spec) Spec {
	s.Name = e.Name
	if e.Action == AddHost {
		s.Weight = 1
	}
	s.Address = cmp.Or(e.Address, s.Address)
	if e.Weight != nil {
		s.Weight = *e.Weight
	}
	if e.ID != nil {
		s.ID = *e.ID
	}
	if e.Zone != nil {
		s.Zone = *e.Zone
	}
	return s
}
