package handover

import (
	"encoding/json"
	"net/http"
	"time"
)

// This file has the bodies by which operators change and see generations. The admin endpoint
// and the control socket share them.

// A Change starts a new generation.
type Change struct {
	Upgrade bool   `json:"upgrade,omitempty"` // with another binary
	Binary  string `json:"binary,omitempty"`  // its path; "": the file from which lb run was started
	Yes     bool   `json:"yes,omitempty"`     // also if many tokens move
}

// A Plan is what a change would do, as the generation that serves sees it.
type Plan struct {
	Changes []string        `json:"changes" doc:"What has changed in the configuration, in words"`
	Impact  json.RawMessage `json:"impact,omitempty" doc:"What that means for users"`
	Failure *Failure        `json:"failure,omitempty" doc:"Why it can't be made, or not without a confirmation"`
}

// A Result says what a change has done.
type Result struct {
	Generation int     `json:"generation" doc:"The one that serves now"`
	Version    string  `json:"version" doc:"Of its program"`
	Digest     string  `json:"config_digest" doc:"A short name of its configuration"`
	Took       float64 `json:"took_seconds"`
	Plan
}

// A Failure is why a change wasn't made. Nothing has changed then.
type Failure struct {
	Code   string `json:"code"` // one of the codes below
	Detail string `json:"detail"`
}

// The codes of a Failure.
const (
	FailedConfig  = "config"  // the configuration has a mistake
	FailedProgram = "program" // the program to upgrade to can't be used
	FailedConfirm = "confirm" // it wants Change.Yes
	FailedRoom    = "room"    // the machine lacks memory, descriptors or disk space
	FailedBusy    = "busy"    // another change is under way
	FailedStart   = "start"   // the new generation couldn't serve
)

// Error implements error.
func (f *Failure) Error() string { return f.Detail }

// HTTPStatus returns the status of the answer that tells a Failure.
func (f *Failure) HTTPStatus() int {
	switch f.Code {
	case FailedConfig, FailedProgram:
		return http.StatusUnprocessableEntity
	case FailedConfirm, FailedBusy:
		return http.StatusConflict
	case FailedRoom:
		return http.StatusInsufficientStorage
	}
	return http.StatusBadGateway
}

// A Generation is one process of a balancer.
type Generation struct {
	ID      int       `json:"id" doc:"Generations are counted from the start of lb run"`
	PID     int       `json:"pid"`
	State   string    `json:"state" enum:"starting,serving,old,closing" doc:"old: it carries what it had; closing: it closes its terminals at a rate"`
	Version string    `json:"version" doc:"Of its program"`
	Digest  string    `json:"config_digest" doc:"A short name of its configuration"`
	Started time.Time `json:"started"`
	Status
	Hangs bool    `json:"hangs,omitempty" doc:"It doesn't say what it carries"`
	CPU   float64 `json:"cpu_seconds" doc:"Processor time that it has used"`
	RSS   int64   `json:"rss_bytes" doc:"Memory that it has"`
}

// The states of a Generation.
const (
	StateStarting = "starting"
	StateServing  = "serving"
	StateOld      = "old"     // it carries what it had
	StateClosing  = "closing" // it closes its terminals
)
