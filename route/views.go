package route

import (
	"strings"

	"tokenring/balancer"
)

// RuleUnreachable is the Rule of a key that is refused because its host can't be reached from
// here, and balancers don't agree that it is down. Others may serve the key there, so no
// other host gets it.
const RuleUnreachable balancer.Rule = "unreachable"

// Views are the verdicts of the other balancers on a host. They are names, separated by ", ".
type Views struct {
	Up, Down string
	Traffic  string // those that have terminals there that work, though some balancer has the host down
}

// Names returns the names in a text of Views; not nil.
func Names(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ", ")
}

// Text returns the verdicts of all balancers in words: "down here, up at lb-2, lb-3". here is
// that of this balancer.
func (v Views) Text(here Verdict) string {
	up, down := where(v.Up), where(v.Down)
	switch here {
	case Up:
		up = strings.TrimPrefix("here, "+up, ", ")
	case Down:
		down = strings.TrimPrefix("here, "+down, ", ")
	}
	var parts []string
	for _, part := range []struct{ is, at string }{{"down", down}, {"up", up}} {
		if text := strings.TrimSuffix(part.at, ", "); text != "" {
			parts = append(parts, part.is+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

// where returns where balancers are, "" if there are none.
func where(names string) string {
	if names == "" {
		return ""
	}
	return "at " + names
}
