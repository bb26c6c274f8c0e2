// Package mutant breaks a promise on purpose, in programs that are built with the tag mutants:
// what looks for broken promises must find each. Without the tag nothing is broken, and the
// compiler removes the places where it could be.
package mutant

// A Name says what is broken.
type Name string

// The mutants.
const (
	NoClaim           Name = "no-claim"           // a new key is sent to a host without asking the other balancers
	Minority          Name = "minority"           // one balancer's word is enough to have a host down
	ForgetGenerations Name = "forget-generations" // what older processes carry isn't known
	NoLinger          Name = "no-linger"          // a key keeps no host without a terminal
	ClosedStays       Name = "closed-stays"       // a session that has ended at a peer isn't forgotten
)

// All are all mutants.
var All = []Name{NoClaim, Minority, ForgetGenerations, NoLinger, ClosedStays}
