package proxy

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// A message is a request or response as a reader without any leniency sees it.
// It shares no code with http1: the two are to judge each other.
type message struct {
	line     string // the first line
	fields   []string
	trailers []string
	body     string
	conn     int // the number of the host's connection
}

// errNotStrict says that a message isn't what a careful sender writes.
type errNotStrict struct{ what string }

func (e errNotStrict) Error() string { return "not strict: " + e.what }

func notStrict(format string, a ...any) error { return errNotStrict{fmt.Sprintf(format, a...)} }

var (
	strictRequest = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+ [!-~]+ HTTP/1\.1$`)
	strictStatus  = regexp.MustCompile(`^HTTP/1\.1 [1-9][0-9][0-9] [\t -~\x80-\xff]*$`)
	strictField   = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+: ?([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?$`)
	strictLength  = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)
	strictSize    = regexp.MustCompile(`^[0-9a-f]{1,16}$`)
)

// readStrictHead reads the first line and the fields of a message. Its error is
// io.EOF if there is no byte of one.
func readStrictHead(in *bufio.Reader, form *regexp.Regexp) (*message, error) {
	m := new(message)
	var err error
	if m.line, err = strictLine(in); err != nil {
		return m, err
	}
	if !matchesBytes(form, m.line) {
		return m, notStrict("the line %q", m.line)
	}
	m.fields, err = strictFields(in)
	return m, middle(err)
}

// matchesBytes matches byte by byte, not rune by rune.
func matchesBytes(form *regexp.Regexp, s string) bool {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return form.MatchString(string(runes))
}

func strictLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		if line != "" {
			err = middle(err)
		}
		return line, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, notStrict("a bare LF behind %q", line)
	}
	return text, nil
}

// middle makes an end amid a message one that nobody expects.
func middle(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func strictFields(in *bufio.Reader) (fields []string, err error) {
	for {
		line, err := strictLine(in)
		if err != nil || line == "" {
			return fields, err
		}
		if !matchesBytes(strictField, line) {
			return fields, notStrict("the field %q", line)
		}
		fields = append(fields, line)
	}
}

// values returns the values of the fields of that name.
func values(fields []string, name string) (all []string) {
	for _, f := range fields {
		n, value, _ := strings.Cut(f, ":")
		if strings.EqualFold(n, name) {
			all = append(all, strings.TrimPrefix(value, " "))
		}
	}
	return all
}

// readStrictBody reads the body that the head announces. without is for what
// never has one.
func (m *message) readStrictBody(in *bufio.Reader, without, untilEnd bool) error {
	lengths, codings := values(m.fields, "Content-Length"), values(m.fields, "Transfer-Encoding")
	var body []byte
	var err error
	switch {
	case len(lengths)+len(codings) > 1:
		return notStrict("lengths %q and codings %q", lengths, codings)
	case len(lengths) == 1 && !strictLength.MatchString(lengths[0]):
		return notStrict("the length %q", lengths[0])
	case len(codings) == 1 && codings[0] != "chunked":
		return notStrict("the coding %q", codings[0])
	case without:
	case len(codings) == 1:
		return m.readStrictChunks(in)
	case len(lengths) == 1:
		n, _ := strconv.ParseInt(lengths[0], 10, 64)
		body, err = io.ReadAll(io.LimitReader(in, n))
		if err == nil && int64(len(body)) < n {
			err = io.ErrUnexpectedEOF
		}
	case untilEnd:
		body, err = io.ReadAll(in)
	}
	m.body = string(body)
	return err
}

func (m *message) readStrictChunks(in *bufio.Reader) (err error) {
	for {
		size, err := strictLine(in)
		switch {
		case err != nil:
			return middle(err)
		case !strictSize.MatchString(size):
			return notStrict("the chunk size %q", size)
		}
		n, _ := strconv.ParseInt(size, 16, 64)
		if n == 0 {
			m.trailers, err = strictFields(in)
			return middle(err)
		}
		chunk, err := io.ReadAll(io.LimitReader(in, n))
		m.body += string(chunk)
		if err == nil && int64(len(chunk)) < n {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if end, err := strictLine(in); err != nil || end != "" {
			return middle(firstOf(err, notStrict("%q behind a chunk", end)))
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRequest holds the head of a request to what only requests must keep.
func (m *message) checkRequest() error {
	for _, name := range []string{"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id"} {
		if got := values(m.fields, name); len(got) != 1 || got[0] == "" {
			return notStrict("%s is %q", name, got)
		}
	}
	upgrade := values(m.fields, "Upgrade")
	for _, name := range []string{"Connection", "Keep-Alive", "TE", "Proxy-Connection", "HTTP2-Settings", "Proxy-Authorization"} {
		got := values(m.fields, name)
		if name == "Connection" && len(upgrade) == 1 && upgrade[0] == "websocket" && len(got) == 1 && got[0] == "Upgrade" {
			continue
		}
		if len(got) > 0 {
			return notStrict("%s is %q, which ends with a hop", name, got)
		}
	}
	return nil
}

// ownPort stands for the port of the listener, which the kernel has chosen.
const ownPort = "<port>"

func isOwnPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= 1024 && port <= 65535
}

// differs says how m isn't what was wanted, or "".
func (m *message) differs(w wanted) string {
	for _, field := range w.have {
		name, value, _ := strings.Cut(field, ":")
		if got := values(m.fields, name); len(got) != 1 || got[0] != strings.TrimSpace(value) && !(strings.TrimSpace(value) == ownPort && isOwnPort(got[0])) {
			return fmt.Sprintf("%s is %q, want %q", name, got, strings.TrimSpace(value))
		}
	}
	for _, name := range w.lack {
		if got := values(m.fields, name); len(got) > 0 {
			return fmt.Sprintf("%s is %q, want none", name, got)
		}
	}
	if got, want := strings.Join(m.trailers, "|"), strings.Join(w.trail, "|"); got != want {
		return fmt.Sprintf("trailers %q, want %q", got, want)
	}
	if w.judged && m.body != w.body {
		return fmt.Sprintf("body %.100q, want %.100q", m.body, w.body)
	}
	return ""
}
