package handover

import (
	"encoding/json"
	"time"
)

// The calls of the parent to a generation.
//
//	start ──▶ (prepare, retire: to the generation before) ──▶ serve ──▶ commit: to the generation before
const (
	KindStart   = "start"   // Start → Started. Build everything, and serve nobody yet
	KindLink    = "link"    // Link, with its file. There is a newer generation; it may not serve yet
	KindPrepare = "prepare" // offer HTTP/2 to no new connection: you are about to retire
	KindResume  = "resume"  // you aren't: the newer generation has failed before retire
	KindRetire  = "retire"  // decide nothing any more, and accept nothing
	KindServe   = "serve"   // the generations before have retired: serve
	KindNewest  = "newest"  // Link: that generation serves now; connections are passed on to it
	KindCommit  = "commit"  // forget what was kept for the case that the newest fails
	KindEnd     = "end"     // End. Close the terminals at a rate
	KindStop    = "stop"    // stop serving, as after SIGTERM
	KindReopen  = "reopen"  // open the files of logs anew: they have been moved away
	KindPlan    = "plan"    // Change → Plan. What the change would do
	KindStatus  = "status"  // → Status
)

// The calls of a generation to the parent, besides KindListen.
const (
	KindChange      = "change"      // Change → Result
	KindGenerations = "generations" // → []Generation
	KindKill        = "kill"        // Kill. Answer when that generation has ended
	// KindCounters is a notice, now and then, of what the generation that serves knows to be
	// counted but by those that live beside it. The parent gives it to the next one if this
	// one crashes.
)

// A Start tells a process which generation it is.
type Start struct {
	ID      int    `json:"id"`
	Config  []byte `json:"config,omitempty"`  // the text of the configuration; nil: what is in the file
	Olders  []int  `json:"olders,omitempty"`  // the living generations, oldest first; a file for each comes with the message: a link to it
	Serving int    `json:"serving,omitempty"` // which of them hands over; 0 if none does
	// Counts is the last KindCounters that a generation has told, CountsOf.
	Counts   json.RawMessage `json:"counts,omitempty"`
	CountsOf int             `json:"counts_of,omitempty"`
}

// Started is what a generation says when it could serve.
type Started struct {
	Version     string        `json:"version"`
	Digest      string        `json:"digest"`      // of the configuration
	Config      []byte        `json:"config"`      // its text
	StopWithin  time.Duration `json:"stop_within"` // how long a stop takes at most
	Generations Generations   `json:"generations"`
}

// Generations bounds the generations of a balancer. It is the section `generations` of the
// configuration.
type Generations struct {
	// Max is how many generations may carry terminals beside the one that serves: 1 to 32,
	// default 8. If there are more, the oldest closes its terminals.
	Max int `yaml:"max" json:"max"`
	// Age is how long a generation may carry terminals after another one has begun to
	// serve. Default 24h.
	Age time.Duration `yaml:"age" json:"age"`
	// Rate is how many terminals a generation closes in a second when it must. Default 20.
	Rate int `yaml:"rate" json:"rate"`
	// Ready is how long a new generation may take until it could serve. Default 60s.
	Ready time.Duration `yaml:"ready" json:"ready"`
	// Probation is how long a generation must serve until the one before forgets what it
	// needs to be put back. Default 5s.
	Probation time.Duration `yaml:"probation" json:"probation"`
}

// WithDefaults returns g with its zero fields set to their defaults.
func (g Generations) WithDefaults() Generations {
	if g.Max == 0 {
		g.Max = 8
	}
	if g.Age == 0 {
		g.Age = 24 * time.Hour
	}
	if g.Rate == 0 {
		g.Rate = 20
	}
	if g.Ready == 0 {
		g.Ready = time.Minute
	}
	if g.Probation == 0 {
		g.Probation = 5 * time.Second
	}
	return g
}

// A Link names the generation at the other end of a link.
type Link struct {
	ID int `json:"id"`
}

// Kill has the parent see to it that an older generation ends: one that hasn't done what it
// was told may go on with it when it runs again.
type Kill struct {
	ID        int           `json:"id"`
	Why       string        `json:"why"`       // reason for the log
	Terminals int           `json:"terminals"` // that it has, as far as is known
	Patience  time.Duration `json:"patience"`  // how long it may take to end by itself
}

// End has a generation close its terminals.
type End struct {
	Rate int    `json:"rate"` // terminals in a second
	Why  string `json:"why"`  // reason for the log
}

// Status is what a generation carries.
type Status struct {
	Terminals   int `json:"terminals"`
	Connections int `json:"connections"`
	// LastBytes are how long ago bytes have come from hosts to terminals, by host; of hosts that
	// have sent some lately.
	LastBytes map[string]time.Duration `json:"last_bytes,omitempty"`
}

// The calls over a link between an older generation and a newer one. The older one sends
// KindSessions without being asked, each time the sessions that it carries have changed.
const (
	KindState    = "state"     // newer → older: State. Everything that the newer one starts from
	KindSessions = "sessions"  // older → newer: what it carries for some keys
	KindCaughtUp = "caught up" // newer → older: answer when all changes until now have been sent
	KindList     = "list"      // newer → older: session.Selection → session.Page
	KindEndKey   = "end key"   // newer → older: elder.End. Answer when the terminals have ended
	KindPass     = "pass"      // older → newer, with a file: serve this connection
	KindCounters = "counters"  // older → newer: what it has counted
)
