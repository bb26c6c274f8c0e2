package manpage

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

func (p *page) synopsis() {
	p.section("SYNOPSIS")
	parts := []string{bold(strings.Join(words(p.node), " "))}
	for owner := p.node; owner != nil; owner = owner.Parent {
		for _, flag := range flags(owner) {
			if flag.Required {
				parts = append(parts, longTag(flag))
			}
		}
	}
	parts = append(parts, `[\fIOPTION\fR]...`)
	for _, arg := range p.node.Positional {
		parts = append(parts, argumentTag(arg))
	}
	if len(commands(p.node)) > 0 {
		parts = append(parts, `\fICOMMAND\fR`)
	}
	p.fill(strings.Join(parts, " "))
}

func (p *page) description() {
	p.section("DESCRIPTION")
	p.text(p.node.Help)
	if p.node.Detail != "" {
		p.line(".PP")
		p.text(p.node.Detail)
	}
}

func (p *page) arguments() {
	if len(p.node.Positional) == 0 {
		return
	}
	p.section("ARGUMENTS")
	for _, arg := range p.node.Positional {
		p.item(argumentTag(arg), escape(arg.Help))
	}
}

func (p *page) commands() {
	all := commands(p.node)
	if len(all) == 0 {
		return
	}
	p.section("COMMANDS")
	for _, command := range all {
		p.item(bold(strings.Join(words(command), " ")), escape(command.Help))
	}
}

// options writes the flags of the command, or of one above it.
func (p *page) options(owner *kong.Node) {
	all := flags(owner)
	if len(all) == 0 {
		return
	}
	if owner == p.node {
		p.section("OPTIONS")
	} else {
		p.section("OPTIONS OF ALL COMMANDS OF " + strings.ToUpper(escape(strings.Join(words(owner), " "))))
	}
	for _, flag := range all {
		p.item(optionTag(flag), escape(flag.Help))
	}
}

func (p *page) environment() {
	first := true
	for owner := p.node; owner != nil; owner = owner.Parent {
		for _, flag := range flags(owner) {
			for _, name := range flag.Envs {
				if first {
					p.section("ENVIRONMENT")
					first = false
				}
				p.item(bold(name), "Used if "+bold("--"+flag.Name)+" isn\\(aqt given.")
			}
		}
	}
}

func (p *page) exits(all []Exit) {
	if len(all) == 0 {
		return
	}
	p.section("EXIT STATUS")
	for _, exit := range all {
		p.item(bold(fmt.Sprint(exit.Code)), escape(exit.Meaning))
	}
}

func (p *page) files(all []File) {
	if len(all) == 0 {
		return
	}
	p.section("FILES")
	for _, file := range all {
		p.item(`\fI`+escape(file.Path)+`\fR`, escape(file.Content))
	}
}

// seeAlso names the pages of the parent, and of the commands below it.
func (p *page) seeAlso() {
	related := commands(p.node)
	if p.node.Parent != nil {
		related = append([]*kong.Node{p.node.Parent}, related...)
	}
	if len(related) == 0 {
		return
	}
	p.section("SEE ALSO")
	for i, node := range related {
		end := ","
		if i == len(related)-1 {
			end = ""
		}
		p.line(".BR %s (1)%s", escape(pageName(node)), end)
	}
}
