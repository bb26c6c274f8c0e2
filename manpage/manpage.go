// Package manpage writes manual pages, in man(7), from the grammar of a command line. So
// the pages say what --help says, and there is nothing that could be forgotten in them.
package manpage

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

// About is what a page says that isn't in the grammar.
type About struct {
	Source string // the program and its version, at the foot of each page
	Manual string // the title of the manual, at the head
	Date   string // as YYYY-MM-DD
	Exit   []Exit // the codes with which all commands exit
	Files  []File // that all commands may read
}

// An Exit says what a code means.
type Exit struct {
	Code    int
	Meaning string
}

// A File says what is in a file.
type File struct{ Path, Content string }

// Write writes a page for the program and for each of its commands that isn't hidden, into
// dir, and returns their names, such as lb-ctl-status.1.
func Write(dir string, app *kong.Application, about About) (names []string, _ error) {
	for _, node := range nodes(app.Node) {
		name := pageName(node) + ".1"
		if err := os.WriteFile(filepath.Join(dir, name), Page(node, about), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// nodes returns node and all commands below it, parents first.
func nodes(node *kong.Node) []*kong.Node {
	all := []*kong.Node{node}
	for _, child := range commands(node) {
		all = append(all, nodes(child)...)
	}
	return all
}

// commands returns the commands of node that aren't hidden.
func commands(node *kong.Node) (all []*kong.Node) {
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			all = append(all, child)
		}
	}
	return all
}

// flags returns the flags of node alone that aren't hidden.
func flags(node *kong.Node) (all []*kong.Flag) {
	for _, flag := range node.Flags {
		if !flag.Hidden {
			all = append(all, flag)
		}
	}
	return all
}

// words returns the words by which a command is called, such as lb, ctl and status.
func words(node *kong.Node) []string {
	if node.Parent == nil {
		return []string{node.Name}
	}
	return append(words(node.Parent), node.Name)
}

func pageName(node *kong.Node) string { return strings.Join(words(node), "-") }

// Page returns the page of one command.
func Page(node *kong.Node, about About) []byte {
	p := &page{node: node}
	p.line(".TH %s 1 %q %q %q", strings.ToUpper(escape(pageName(node))), about.Date, about.Source, about.Manual)
	p.section("NAME")
	p.fill(escape(pageName(node)) + ` \- ` + escape(summary(node)))
	p.synopsis()
	p.description()
	p.arguments()
	p.commands()
	for owner := node; owner != nil; owner = owner.Parent {
		p.options(owner)
	}
	p.environment()
	p.exits(about.Exit)
	p.files(about.Files)
	p.seeAlso()
	return p.out.Bytes()
}

// summary returns the first sentence of a command's help, without its full stop.
func summary(node *kong.Node) string {
	line, _, _ := strings.Cut(node.Help, "\n")
	sentence, _, _ := strings.Cut(line, ". ")
	return strings.TrimSuffix(sentence, ".")
}
