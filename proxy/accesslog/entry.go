package accesslog

import (
	"bytes"
	"time"

	"tokenring/balancer"
)

// An Entry is the content of a line.
type Entry struct {
	Request

	Host string        // "" if none was chosen
	Rule balancer.Rule // by which the host was chosen
	// GaveAway are the hosts that have given the request away, in order, separated by commas;
	// nil for none.
	GaveAway *string

	Started   time.Time
	Connected time.Duration // until there was a connection to the host
	Answered  time.Duration // until the final head of the answer

	TLS      bool // the client uses TLS
	Refused  bool // the request was malformed: method and path aren't shown
	Retried  bool // the request was sent again
	Broken   bool // the side that has ended the tunnel hasn't closed it in order
	Status   int16
	keyRule  uint16 // of Log.Keys, from 1; 0 for none. Set by Log.Describe
	Received int64  // bytes of body or tunnel from the client
	Sent     int64  // bytes of body or tunnel to the client
	End      string // how it ended

	More *More // nil for nothing
}

// A Request is the part of a line about the request. It has the path but not the query,
// which may contain the key.
type Request struct {
	ID       []byte
	Client   string // its address
	Protocol string // of the client, such as HTTP/2
	Method   string // set by Log.Describe, like Path and Key
	Path     []byte
	Key      balancer.Digest // of the key; the zero Digest if there is no key
}

// Keep returns a copy of e that doesn't refer to bytes of the request.
func (e Entry) Keep() Entry {
	e.ID, e.Path = bytes.Clone(e.ID), bytes.Clone(e.Path)
	e.More = e.More.keep()
	return e
}
