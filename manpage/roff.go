package manpage

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// A page is a page as it is being written.
type page struct {
	node *kong.Node
	out  bytes.Buffer
}

// line writes a line, whose arguments are roff.
func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

// item writes a paragraph with a tag that hangs out to the left. Both are roff.
func (p *page) item(tag, text string) {
	p.line(".TP\n%s", tag)
	p.fill(text)
}

// maxLine is how long a line may be in bytes before mandoc complains.
const maxLine = 78

// fill writes roff, whose line breaks have no meaning, in lines that aren't too long.
func (p *page) fill(text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > maxLine {
			p.line("%s", protect(line))
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	p.line("%s", protect(line))
}

// protect returns a line of text that isn't taken for a request.
func protect(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}

// text writes plain text as help has it: paragraphs with blank lines between, and examples
// that are indented.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		p.paragraph(strings.Split(paragraph, "\n"))
	}
}

// paragraph writes lines. Those that are indented are examples, which keep their breaks.
func (p *page) paragraph(lines []string) {
	for len(lines) > 0 {
		n := 1
		example := isExample(lines[0])
		for n < len(lines) && isExample(lines[n]) == example {
			n++
		}
		if example {
			p.example(lines[:n])
		} else {
			p.fill(escape(strings.Join(lines[:n], " ")))
		}
		lines = lines[n:]
	}
}

func isExample(line string) bool { return strings.HasPrefix(line, "  ") }

func (p *page) example(lines []string) {
	p.line(".RS 2\n.EX")
	for _, line := range lines {
		p.line("%s", protect(escape(strings.TrimPrefix(line, "  "))))
	}
	p.line(".EE\n.RE")
}

// optionTag is a flag as it is typed, with its short form.
func optionTag(flag *kong.Flag) string {
	if flag.Short != 0 {
		return bold("-"+string(flag.Short)) + ", " + longTag(flag)
	}
	return longTag(flag)
}

func longTag(flag *kong.Flag) string {
	if flag.IsBool() || flag.IsCounter() {
		return bold("--" + flag.Name)
	}
	return bold("--"+flag.Name) + `=\fI` + escape(flag.FormatPlaceHolder()) + `\fR`
}

// argumentTag is a positional argument as it is typed.
func argumentTag(arg *kong.Positional) string {
	tag := `\fI` + escape(strings.ToUpper(arg.Name)) + `\fR`
	if arg.Tag.PlaceHolder != "" {
		tag = `\fI` + escape(arg.Tag.PlaceHolder) + `\fR`
	}
	if arg.IsCumulative() {
		tag += "..."
	}
	if !arg.Required {
		return "[" + tag + "]"
	}
	return tag
}

func bold(text string) string { return `\fB` + escape(text) + `\fR` }

// escape writes plain text in roff, with hyphens and quotes that can be copied.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(text)
}
