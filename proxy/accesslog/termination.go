package accesslog

import "strings"

// Reasons that say who is to blame where Entry.End doesn't.
const (
	ReasonLateHead   = "the request's head took too long"
	ReasonLateBody   = "the request's body took too long"
	ReasonSlowClient = "the client read nothing of its answer for too long"
	ReasonSlowHost   = "the host took too long to answer"
	ReasonHostDown   = "the host has gone down while its answer was awaited, and may have done what was asked"
	ReasonNoFiles    = "this balancer is short of file descriptors; it is worth trying again"
	ReasonBadAnswer  = "the host's answer was not valid HTTP: " // and what was wrong
)

const endOpen = "open"

// A termination is the first two letters of HAProxy's termination state: what has ended the
// request or tunnel, and what was going on then. See section 8.5 of HAProxy's manual.
type termination [2]byte

// The second letter.
const (
	phaseDone    = '-'
	phaseRequest = 'R'
	phaseQueue   = 'Q'
	phaseConnect = 'C'
	phaseHead    = 'H'
	phaseData    = 'D'
	phaseOfEntry = 0 // as far as the entry has come
)

// terminations has the first letter for each Entry.End, and the second one where it is always the
// same. The first row counts whose reason begins the one of the entry.
var terminations = []struct {
	end, reason  string
	cause, phase byte
}{
	{"open", "", '-', phaseDone},
	{"refused", "", 'P', phaseOfEntry},
	{"not-allowed", "", 'P', phaseOfEntry},
	{"no-host", "", 'S', phaseConnect},
	{"host-full", "", 's', phaseQueue},
	{"host-failed", ReasonBadAnswer, 'P', phaseOfEntry},
	{"host-failed", "", 'S', phaseOfEntry},
	{"client-gone", "", 'C', phaseOfEntry},
	{"timeout", ReasonSlowHost, 's', phaseOfEntry},
	{"timeout", ReasonHostDown, 'D', phaseOfEntry},
	{"timeout", "", 'c', phaseOfEntry},
	{"maintenance", "", 'L', phaseOfEntry},
	{"retired", "", 'K', phaseOfEntry},
	{"fault", ReasonNoFiles, 'R', phaseOfEntry},
	{"fault", "", 'I', phaseOfEntry},
	{"maint", "", 'K', phaseOfEntry},
	{"drain", "", 'K', phaseOfEntry},
	{"operator", "", 'K', phaseOfEntry},
	{"shutdown", "", 'K', phaseOfEntry},
	{"upgrade", "", 'K', phaseOfEntry},
	{"host-down", "", 'D', phaseOfEntry},
	{"moved", "", 'D', phaseOfEntry},
	{"split", "", 'U', phaseOfEntry},
}

// terminationOf returns how e has ended. What no row has is a fault of lb's own.
func terminationOf(e *Entry, reason string) termination {
	switch {
	case e.End == "done" && e.Host == "":
		return termination{'L', phaseRequest}
	case e.End == "done", isSide(e.End) && !e.Broken:
		return termination{'-', phaseDone}
	case e.End == "client":
		return termination{'C', phaseData}
	case e.End == "host":
		return termination{'S', phaseData}
	}
	for i := range terminations {
		if row := &terminations[i]; row.end == e.End && strings.HasPrefix(reason, row.reason) {
			if row.phase != phaseOfEntry {
				return termination{row.cause, row.phase}
			}
			return termination{row.cause, e.phase()}
		}
	}
	return termination{'I', e.phase()}
}

// isSide reports whether one of a tunnel's sides has ended it.
func isSide(end string) bool { return end == "client" || end == "host" }

// phase returns how far e has come.
func (e *Entry) phase() byte {
	switch {
	case e.Answered > 0:
		return phaseData
	case e.Connected > 0:
		return phaseHead
	case e.Host != "":
		return phaseConnect
	}
	return phaseRequest
}
