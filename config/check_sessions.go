package config

import (
	"fmt"

	"tokenring/http1"
)

// checkSecondChance reports a field that can't mark an answer, and numbers with which one
// request or one host could ask too many others.
func (c *Config) checkSecondChance(d *document) {
	again := c.Sessions.SecondChance
	if again == nil {
		return
	}
	const path = "sessions.second_chance"
	switch {
	case !isToken(again.Header):
		d.fail(path+".header", fmt.Sprintf("no field can have the name %q", again.Header), "write for example X-Lb-Second-Chance")
	case !http1.MayTrail([]byte(again.Header)):
		d.fail(path+".header", "the field "+again.Header+" has another meaning already", "choose one that nothing else uses, such as X-Lb-Second-Chance")
	}
	for _, n := range []struct {
		key       string
		value, to int
	}{
		{"per_host", again.PerHost, 10_000},
		{"tries", again.Tries, 10},
	} {
		if n.value < 1 || n.value > n.to {
			d.fail(path+"."+n.key, fmt.Sprintf("%d is out of bounds", n.value), fmt.Sprintf("use a number from 1 to %d", n.to))
		}
	}
}
