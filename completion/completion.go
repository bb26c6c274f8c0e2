// Package completion writes scripts by which shells complete a command line, from its
// grammar. They know the commands, the flags and what a flag's value is: one of some
// words, a file or a directory. They don't call the program.
package completion

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Write writes the script for a shell: bash, zsh or fish.
func Write(w io.Writer, shell string, app *kong.Application) error {
	write, ok := map[string]func(*script, []command){"bash": writeBash, "zsh": writeZsh, "fish": writeFish}[shell]
	if !ok {
		return fmt.Errorf("no completion for the shell %q; there is one for bash, zsh and fish", shell)
	}
	s := &script{name: app.Name}
	write(s, list(app.Node, app.Name))
	_, err := io.WriteString(w, s.text.String())
	return err
}

// A script is a script as it is being written.
type script struct {
	name string // of the program
	text strings.Builder
}

// line writes a line.
func (s *script) line(format string, args ...any) { fmt.Fprintf(&s.text, format+"\n", args...) }

// A command is one that can be typed, or the program itself.
type command struct {
	path      string // the words by which it is called, with blanks between
	commands  []item // below it
	flags     []flag // its own; those of the commands above it can be typed as well
	arguments value
}

// An item is a word with what it means.
type item struct{ word, help string }

// A flag is one that can be typed.
type flag struct {
	item         // --name
	short string // -c; "" if there is none
	value value
}

// A value is what can be typed as the value of a flag, or as an argument.
type value struct {
	kind  kind
	words []string // if it is oneOf
}

type kind int

const (
	nothing kind = iota // there is no value
	unknown             // any text
	oneOf
	file
	directory
)

// list returns the commands from node down that aren't hidden, parents first.
func list(node *kong.Node, path string) []command {
	c := command{path: path}
	for _, f := range node.Flags {
		if !f.Hidden {
			c.flags = append(c.flags, newFlag(f))
		}
	}
	for _, arg := range node.Positional {
		if c.arguments.kind == nothing {
			c.arguments = newValue(arg, arg.Tag.PlaceHolder)
		}
	}
	var below []command
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			c.commands = append(c.commands, item{child.Name, firstLine(child.Help)})
			below = append(below, list(child, path+" "+child.Name)...)
		}
	}
	return append([]command{c}, below...)
}

func newFlag(f *kong.Flag) flag {
	all := flag{item: item{"--" + f.Name, firstLine(f.Help)}}
	if f.Short != 0 {
		all.short = "-" + string(f.Short)
	}
	if !f.IsBool() && !f.IsCounter() {
		all.value = newValue(f.Value, f.PlaceHolder)
	}
	return all
}

func newValue(v *kong.Value, placeholder string) value {
	switch {
	case v.Enum != "":
		return value{oneOf, plainWords(v.EnumSlice())}
	case placeholder == "FILE":
		return value{kind: file}
	case placeholder == "DIR":
		return value{kind: directory}
	}
	return value{kind: unknown}
}

// plainWords returns the words that need no quotes.
func plainWords(words []string) (plain []string) {
	for _, word := range words {
		if word != "" && !strings.ContainsAny(word, " '\"\\$`") {
			plain = append(plain, word)
		}
	}
	return plain
}

func firstLine(help string) string {
	line, _, _ := strings.Cut(help, "\n")
	return line
}

// names returns the forms in which a flag can be typed.
func (f flag) names() []string {
	if f.short == "" {
		return []string{f.word}
	}
	return []string{f.word, f.short}
}

// above returns those of the commands that c belongs to, and c.
func (c command) above(all []command) (owners []command) {
	for _, owner := range all {
		if strings.HasPrefix(c.path+" ", owner.path+" ") {
			owners = append(owners, owner)
		}
	}
	return owners
}

// quote quotes text for bash and zsh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
