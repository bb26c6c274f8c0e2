package main

import "time"

// What lb ctl reads of the API's answers. A balancer of another version may leave
// fields out; where that differs from zero, they are pointers.

// A reply is sound if it has what those of all versions have. Any JSON object
// decodes, and who asks another service must not take its answer for a balancer's.
type reply interface{ sound() bool }

type ctlStatus struct {
	ctlAgreement
	Name          string
	Version       string
	UptimeSeconds int64 `json:"uptime_seconds"`
	Ready         bool
	NotReady      string `json:"not_ready"`
	Hosts         struct{ Total, Ready, Drain, Maint, Up, Down, Serving int }
	Sessions      int64
	InFlight      int64    `json:"in_flight"`
	ConfirmShare  *float64 `json:"confirm_share"`
	Certificates  []struct {
		Names    []string
		NotAfter time.Time `json:"not_after"`
		Problem  string
	}
}

func (s ctlStatus) sound() bool { return s.Name != "" }

type ctlRing struct {
	ctlAgreement
	Version    uint64
	BuiltAt    time.Time `json:"built_at"`
	Rebuilding bool
	Policy     string
	Parameters map[string]any
	Key        []string
	Slots      int
	SlowStart  float64 `json:"slow_start_seconds"`
	Bounded    float64 `json:"bounded_load"`
	Shares     []struct {
		Host               string
		Weight             int
		Share, Fair, Ratio float64
	}
}

func (r ctlRing) sound() bool { return r.Policy != "" }

// ctlAgreement is what status and ring both tell of the ring.
type ctlAgreement struct {
	Digest        string
	RingDigest    string `json:"ring_digest"` // what status calls Digest
	Frozen        bool
	FrozenSince   time.Time `json:"frozen_since"`
	FrozenUntil   time.Time `json:"frozen_until"`
	Alarm         string
	Alarms        []string // of status: the ring's and all others
	Agree         bool
	DisagreeSince time.Time `json:"disagree_since"`
	Peers         []ctlPeer
}

type ctlPeer struct {
	Name, Address, Version string
	Alive, Agrees          bool
	Digest                 string `json:"ring_digest"`
	Since                  time.Time
}

type ctlHost struct {
	Name, Address      string
	State, Reason, By  string
	Verdict            string
	CheckError         string `json:"check_error"`
	WhyNot             string `json:"why_not"`
	Serving, Full      bool
	Share              float64
	Weight             int
	Announced          *int                         `json:"announced_weight"`
	Decided            *struct{ By, Reason string } `json:"weight_decided"`
	Sessions, Requests int64
	Warming            *struct {
		Until time.Time
		Taken float64
	}
}

func (h ctlHost) sound() bool { return h.Name != "" && h.State != "" }

type ctlHostList struct{ Hosts []ctlHost }

func (l ctlHostList) sound() bool { return l.Hosts != nil }

type ctlExplanation struct {
	Digest     string `json:"token_digest"`
	RingDigest string `json:"ring_digest"`
	Policy     string
	Slot       int
	Slots      int
	SlotShare  float64 `json:"slot_share"`
	Point      *uint32
	Host       string
	Rule       string
	Reason     string
	Session    *struct {
		Host    string
		Tunnels int
	}
	Candidates []struct {
		Host, Role, State, Verdict string
		Chosen                     bool
		WhyNot                     string `json:"why_not"`
	}
}

func (e ctlExplanation) sound() bool { return e.Rule != "" }

type ctlWhatif struct {
	Method               string
	Moved, Ideal, Astray float64
	Sessions             int
	SessionsMoved        int  `json:"sessions_moved"`
	SessionsAstray       int  `json:"sessions_astray"`
	SessionsExact        bool `json:"sessions_exact"`
	Routes               []struct {
		From, To string
		Share    float64
		Sessions int
	}
	RoutesLeftOut     int `json:"routes_left_out"`
	Before, After     ctlTable
	ConfirmShare      float64 `json:"confirm_share"`
	NeedsConfirmation bool    `json:"needs_confirmation"`
}

func (a ctlWhatif) sound() bool { return a.Method != "" }

type ctlTable struct {
	Digest, Policy string
	Slots          int
	Hosts          []ctlTableHost
}

type ctlTableHost struct {
	Host     string
	Weight   int
	Share    float64
	Sessions int
}

// ctlTooMuch is what a refusal to move so much says.
type ctlTooMuch struct {
	Moved         *float64
	MaxMoved      float64 `json:"max_moved"`
	Sessions      int
	SessionsMoved int  `json:"sessions_moved"`
	SessionsExact bool `json:"sessions_exact"`
}
