// Package handed has the form in which a pool hands over what it knows to the pool of another
// process, which takes its place on this machine.
package handed

import (
	"encoding/json"
	"time"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/pool/eligibility"
	"tokenring/pool/hostlist"
	"tokenring/pool/moment"
	"tokenring/pool/waits"
	"tokenring/route"
)

// A State is what a pool knows. It is meant for JSON, and a reader of another version skips
// what it doesn't know.
type State struct {
	Version string    `json:"version,omitempty"` // of the software
	At      time.Time `json:"at"`
	ReadyAt time.Time `json:"ready_at"`

	Hosts     []Host           `json:"hosts,omitempty"`     // sorted by name
	Listed    []hostlist.Added `json:"listed,omitempty"`    // the hosts that operators have added
	Registers json.RawMessage  `json:"registers,omitempty"` // see peers.EncodeMessage
	Freeze    Freeze           `json:"freeze,omitzero"`
	Waits     waits.State      `json:"waits,omitzero"` // which balancers are missing
	Tables
	Rings json.RawMessage `json:"rings,omitempty"` // what the ring was: a ringlog.Log

	Verdicts json.RawMessage `json:"verdicts,omitempty"` // of other balancers: see peers.EncodeAllVerdicts

	PoolLabel  string               `json:"pool_label,omitempty"` // of the gossip of hosts and balancers; "" for none
	PeersLabel string               `json:"peers_label,omitempty"`
	Peers      []route.Peer         `json:"peers,omitempty"`
	Members    gossip.CachedMembers `json:"members"` // of both gossips, but for what Hosts has
}

// AddedHosts returns the hosts that operators have added.
func (s State) AddedHosts() (all []hostlist.Host) {
	for _, l := range s.Listed {
		all = append(all, hostlist.Host{Spec: l.Spec, By: l.By})
	}
	return all
}

// Tables are the tables of a pool.
type Tables struct {
	Table  Table              `json:"table"`            // in force
	Ring   *balancer.HostList `json:"ring,omitempty"`   // the last order, if Table has other hosts
	Former []Table            `json:"former,omitzero"`  // those of the history
	Count  uint64             `json:"tables,omitempty"` // how many there have been
	Doubt  string             `json:"doubt,omitempty"`  // why the library hasn't confirmed a table
}

// A Table is a table, and what is known of it.
type Table struct {
	balancer.TableState
	At        time.Time `json:"built_at,omitzero"`
	Confirmed bool      `json:"confirmed,omitempty"` // the library has made it, too
}

// A Freeze is the freeze of the ring, and what operators have to know of it.
type Freeze struct {
	eligibility.Freeze
	Notice
}

// Past returns f as of now: none of its times is later. It ends when a freeze that began then
// ends by the configuration of this process.
func (f Freeze) Past(now time.Time, lasts time.Duration) Freeze {
	for _, t := range []*time.Time{&f.Since, &f.Thawed, &f.Expired, &f.IgnoredUntil, &f.NoticeAt} {
		*t = moment.Past(*t, now)
	}
	if f.Frozen {
		f.Until = f.Since.Add(lasts)
	}
	return f
}

// A Notice says that hosts vanished together and that other hosts serve their keys. If the
// vanished hosts still run, a key may be on two hosts. The zero Notice says nothing.
type Notice struct {
	NoticeAt    time.Time `json:"notice_at,omitzero"`
	NoticeHosts []string  `json:"notice_hosts,omitempty"` // the hosts that vanished
	NoticeWhy   string    `json:"notice_why,omitempty"`   // why the ring isn't frozen
}
