package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const maxLine = 1024 // bytes of one command line

// builtin is the program of a terminal on a host without a shell: a line editor and a few
// commands.
type builtin struct {
	host    string
	started time.Time
	open    func() int // how many terminals are open on the host
	out     *io.PipeReader
	screen  *io.PipeWriter
	greet   io.Reader

	mu   sync.Mutex
	line []byte
	esc  byte // inside an escape sequence: ESC or '[', else 0
}

func newBuiltin(host string, started time.Time, open func() int) *builtin {
	b := &builtin{host: host, started: started, open: open}
	b.out, b.screen = io.Pipe()
	b.greet = io.MultiReader(strings.NewReader("This host has no shell: try help.\r\n"+b.prompt()), b.out)
	return b
}

// Read returns the program's output.
func (b *builtin) Read(p []byte) (int, error) { return b.greet.Read(p) }

// Resize does nothing, because the terminal wraps lines itself.
func (b *builtin) Resize(uint16, uint16) {}

// Close ends the program. Read then returns io.EOF.
func (b *builtin) Close() error { return b.screen.Close() }

// Write takes the keys that the user types.
func (b *builtin) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range p {
		answer, end := b.keyLocked(c)
		if _, err := io.WriteString(b.screen, answer); err != nil {
			return 0, err
		}
		if end {
			return len(p), b.screen.Close()
		}
	}
	return len(p), nil
}

// keyLocked takes one byte of input. It returns the output for it, and whether the program
// ends.
func (b *builtin) keyLocked(c byte) (answer string, end bool) {
	if b.esc != 0 {
		b.esc = nextEsc(b.esc, c)
		return "", false
	}
	switch c {
	case '\r', '\n':
		return b.enterLocked()
	case 0x7f, '\b':
		return b.eraseLocked(), false
	case 0x03: // Ctrl-C
		b.line = b.line[:0]
		return "^C\r\n" + b.prompt(), false
	case 0x04: // Ctrl-D
		return "", len(b.line) == 0
	case 0x1b:
		b.esc = c
		return "", false
	}
	if c < ' ' || len(b.line) >= maxLine {
		return "", false
	}
	b.line = append(b.line, c)
	return string([]byte{c}), false
}

// nextEsc returns the state after c in an escape sequence (ECMA-48 §5.4), 0 if c ends it.
func nextEsc(state, c byte) byte {
	switch {
	case state == 0x1b && (c == '[' || c == 'O'):
		return '['
	case state == '[' && (c < 0x40 || c > 0x7e):
		return state
	default:
		return 0
	}
}

func (b *builtin) eraseLocked() string {
	if len(b.line) == 0 {
		return ""
	}
	_, n := utf8.DecodeLastRune(b.line)
	b.line = b.line[:len(b.line)-n]
	return "\b \b"
}

func (b *builtin) enterLocked() (string, bool) {
	line := strings.TrimSpace(string(b.line))
	b.line = b.line[:0]
	if line == "exit" {
		return "\r\nbye\r\n", true
	}
	answer := b.command(line)
	if answer != "" {
		answer += "\r\n"
	}
	return "\r\n" + answer + b.prompt(), false
}

func (b *builtin) prompt() string { return b.host + "> " }

// command runs one line and returns its output.
func (b *builtin) command(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	switch name {
	case "":
		return ""
	case "help":
		return "help  whoami  host  date  echo <words>  uptime  count  exit"
	case "whoami":
		return "the holder of a token that belongs to " + b.host
	case "host":
		return b.host
	case "date":
		return time.Now().Format(time.RFC1123)
	case "echo":
		return strings.TrimSpace(rest)
	case "uptime":
		return "up " + time.Since(b.started).Round(time.Second).String()
	case "count":
		return fmt.Sprintf("%d open on %s", b.open(), b.host)
	default:
		return "no such command; try help"
	}
}
