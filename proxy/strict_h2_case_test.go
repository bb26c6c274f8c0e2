package proxy

import (
	"fmt"
	"strconv"
	"strings"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2Case is one entry of the tables in testdata/http2, whose README.md
// describes their form. Its verdict is written as in those of HTTP/1.1.
type h2Case struct {
	*strictCase
	pending []hpack.HeaderField // fields that await their frame
	steps   []func(w *h2wire, id uint32)
	refused string // the status that refuses it, or "any"; "" if it is accepted
}

func newH2Case(name string) *h2Case { return &h2Case{strictCase: newStrictCase(name)} }

func (c *h2Case) parseLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	word, last := strings.CutSuffix(word, "+end")
	switch word {
	case "usual":
		return c.addUsual(strings.Fields(rest))
	case ">":
		return c.addField(rest)
	case "headers":
		fields := c.pending
		c.pending = nil
		c.add(func(w *h2wire, id uint32) { w.headers(id, last, fields...) })
		return nil
	case "data":
		text, err := appendEscaped(nil, rest)
		c.add(func(w *h2wire, id uint32) { w.check(w.WriteData(id, last, text)) })
		return err
	case "frame":
		return c.addFrame(rest)
	case "refuse":
		c.refused = rest
		if rest == "" {
			c.refused = "any"
		}
		return nil
	}
	return c.strictCase.parseLine(line)
}

func (c *h2Case) add(step func(w *h2wire, id uint32)) { c.steps = append(c.steps, step) }

// addUsual adds the four pseudo-header fields of a request.
func (c *h2Case) addUsual(words []string) error {
	if len(words) == 2 {
		words = append(words, "ide.example")
	}
	if len(words) != 3 {
		return fmt.Errorf("want a method, a path and maybe an authority: %q", words)
	}
	for i := range words {
		text, err := appendEscaped(nil, words[i])
		if err != nil {
			return err
		}
		words[i] = string(text)
	}
	c.pending = append(c.pending, usual(words[0], words[1], words[2])...)
	return nil
}

// addField adds a field, whose name and value may hold whatever HPACK can say.
func (c *h2Case) addField(text string) error {
	rawName, rawValue, ok := strings.Cut(text, ": ")
	if !ok {
		rawName, ok = strings.CutSuffix(text, ":")
	}
	if !ok {
		return fmt.Errorf("no name and value: %q", text)
	}
	name, err := appendEscaped(nil, rawName)
	if err != nil {
		return err
	}
	value, err := appendEscaped(nil, rawValue)
	if err != nil {
		return err
	}
	if n, times, ok := strings.Cut(string(name), " times "); ok {
		return c.addMany(n, string(value), times)
	}
	c.pending = append(c.pending, hpack.HeaderField{Name: string(name), Value: string(value)})
	return nil
}

// addMany adds a field several times, each with a number behind its name.
func (c *h2Case) addMany(name, value, times string) error {
	n, err := strconv.Atoi(times)
	for i := range n {
		c.pending = append(c.pending, hpack.HeaderField{Name: name + strconv.Itoa(i), Value: value})
	}
	return err
}

// addFrame adds a frame of any type: type, flags, payload.
func (c *h2Case) addFrame(text string) error {
	var kind, flags uint8
	words := strings.SplitN(text, " ", 3)
	if len(words) < 2 {
		return fmt.Errorf("want type, flags and payload: %q", text)
	}
	for i, dst := range []*uint8{&kind, &flags} {
		n, err := strconv.ParseUint(words[i], 0, 8)
		if err != nil {
			return err
		}
		*dst = uint8(n)
	}
	var payload []byte
	var err error
	if len(words) == 3 {
		payload, err = appendEscaped(nil, words[2])
	}
	c.add(func(w *h2wire, id uint32) {
		w.check(w.WriteRawFrame(h2.FrameType(kind), h2.Flags(flags), id, payload))
	})
	return err
}

func (c *h2Case) check() error {
	switch {
	case !c.reasoned():
		return fmt.Errorf("%q: no line with RFC, section and reason", c.name)
	case len(c.steps) == 0 || len(c.pending) > 0:
		return fmt.Errorf("%q: no frames, or fields without one", c.name)
	case (c.refused == "") == (len(c.client) == 0):
		return fmt.Errorf("%q: no verdict, or two", c.name)
	case c.refused != "" && len(c.host) > 0:
		return fmt.Errorf("%q: what is refused can't reach the host", c.name)
	}
	return nil
}
