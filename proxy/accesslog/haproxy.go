package accesslog

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HAProxy has lines in the form of HAProxy's HTTP log (option httplog; section 8.2.3 of its
// manual) instead of JSON, for programs that read those. The zero HAProxy writes none.
type HAProxy struct {
	Out  io.Writer                    // each Write is a line; it must not block. nil for no lines
	Load func(pool, host string) Load // as it is now; "" for no host
}

// A Load is how many connections there are.
type Load struct {
	Process int   // of clients, at all listeners
	Pool    int64 // requests and tunnels at its hosts
	Host    int64 // likewise
}

// What a line has in place of what isn't known.
const (
	noServer   = "<NOSRV>"
	badRequest = "<BADREQ>"
)

var lines = sync.Pool{New: func() any { return new([]byte) }}

// writeHAProxy writes a line.
func (l *Log) writeHAProxy(e *Entry, reason string) {
	line := lines.Get().(*[]byte)
	defer lines.Put(line)
	*line = append(l.appendHAProxy((*line)[:0], e, reason, time.Since(e.Started)), '\n')
	_, _ = l.HAProxy.Out.Write(*line) // what is lost is counted there
}

// appendHAProxy appends a line about e, which has lasted for a time.
func (l *Log) appendHAProxy(line []byte, e *Entry, reason string, took time.Duration) []byte {
	var unknown More
	m := e.More
	if m == nil {
		m = &unknown
	}
	state := terminationOf(e, reason)
	line = append(append(line, e.Client...), ':')
	line = strconv.AppendUint(line, uint64(m.ClientPort), 10)
	line = e.Started.AppendFormat(append(line, " ["...), "02/Jan/2006:15:04:05.000")
	line = appendFrontend(append(line, "] "...), e, m)
	line = appendServer(append(line, ' '), e, m, state)
	line = appendTimers(append(line, ' '), e, took)
	line = appendCount(append(line, ' '), orMinusOne(int64(e.Status), e.Status != 0))
	line = strconv.AppendInt(append(append(line, ' '), e.stillOpen()...), e.Sent, 10)
	line = append(append(line, " - - "...), state[:]...)
	line = l.appendLoad(append(line, "-- "...), e, m)
	line = l.appendCaptures(append(line, " 0/0 "...), m)
	return appendRequest(line, e)
}

// stillOpen returns what stands before numbers that grow: the tunnel has just been opened.
func (e *Entry) stillOpen() string {
	if e.End == endOpen {
		return "+"
	}
	return ""
}

// appendFrontend appends the listener, with a ~ for TLS.
func appendFrontend(line []byte, e *Entry, m *More) []byte {
	line = appendEscaped(line, orDash(m.Listener), false)
	if e.TLS {
		return append(line, '~')
	}
	return line
}

// appendServer appends the pool and the host. What was answered before a host was looked for has
// the listener as its pool, as in HAProxy.
func appendServer(line []byte, e *Entry, m *More, state termination) []byte {
	switch {
	case e.Host != "":
		server := strings.TrimPrefix(e.Host, m.Pool+"/") // as hosts of further pools are called
		return append(append(append(line, orDash(m.Pool)...), '/'), server...)
	case state[1] == phaseRequest:
		line = appendFrontend(line, e, m)
	default:
		line = append(line, orDash(m.Pool)...)
	}
	return append(append(line, '/'), noServer...)
}

// appendTimers appends TR/Tw/Tc/Tr/Ta in milliseconds. lb measures from where it begins to read
// the head, so TR is 0 and the head counts in what follows.
func appendTimers(line []byte, e *Entry, took time.Duration) []byte {
	line = append(appendCount(line, orMinusOne(0, e.hasHead())), '/')
	line = append(appendCount(line, orMinusOne(e.queued().Milliseconds(), e.Host != "")), '/')
	line = append(appendCount(line, orMinusOne((e.Connected-e.queued()).Milliseconds(), e.Connected > 0)), '/')
	line = append(appendCount(line, orMinusOne((e.Answered-e.Connected).Milliseconds(), e.Answered > 0)), '/')
	return appendCount(append(line, e.stillOpen()...), took.Milliseconds())
}

// queued returns for how long the request has waited in queues of hosts.
func (e *Entry) queued() time.Duration {
	if e.More == nil {
		return 0
	}
	return e.More.Queued
}

// hasHead reports whether there is a request that may be shown.
func (e *Entry) hasHead() bool { return !e.Refused && e.Method != "" }

// appendLoad appends actconn/feconn/beconn/srv_conn/retries. lb doesn't count by listener.
func (l *Log) appendLoad(line []byte, e *Entry, m *More) []byte {
	var now Load
	if l.HAProxy.Load != nil {
		now = l.HAProxy.Load(m.Pool, e.Host)
	}
	for _, n := range []int64{int64(now.Process), int64(now.Process), now.Pool, now.Host} {
		line = append(appendCount(line, n), '/')
	}
	switch {
	case !e.Retried:
		return append(line, '0')
	case e.Rule == l.Redispatched:
		return append(line, "+1"...)
	}
	return append(line, '1')
}

// appendCaptures appends what lb.yaml asks for and the line doesn't have elsewhere, in the order of
// lb.yaml, as HAProxy does with captured fields of requests.
func (l *Log) appendCaptures(line []byte, m *More) []byte {
	const first, further = '{', '|'
	separator := byte(first)
	for _, name := range l.Fields {
		if slices.Contains(elsewhereInHAProxy, name) {
			continue
		}
		line = append(line, separator)
		separator = further
		switch name {
		case FieldHost:
			line = appendEscaped(line, m.host, true)
		case FieldUserAgent:
			line = appendEscaped(line, m.userAgent, true)
		case FieldRoute:
			line = appendEscaped(line, m.Route, true)
		case FieldBalancer:
			line = appendEscaped(line, l.Balancer, true)
		}
	}
	if separator == first {
		return line
	}
	return append(line, "} "...)
}

// elsewhereInHAProxy are the fields that each line has.
var elsewhereInHAProxy = []string{FieldClientPort, FieldListener, FieldPool}

// appendRequest appends the request line, without its query.
func appendRequest(line []byte, e *Entry) []byte {
	line = append(line, '"')
	if !e.hasHead() {
		return append(append(line, badRequest...), '"')
	}
	line = appendEscaped(append(append(line, e.Method...), ' '), e.Path, false)
	line = append(append(line, ' '), e.Protocol...)
	if e.Protocol == "HTTP/2" {
		line = append(line, ".0"...)
	}
	return append(line, '"')
}

// appendEscaped appends text as section 8.6 of HAProxy's manual has it: what can't be printed, or
// would end the text, becomes # and two digits. captured says that the text is in braces.
func appendEscaped[T string | []byte](line []byte, text T, captured bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == '"' || c == '#' || captured && (c == '{' || c == '|' || c == '}') {
			line = append(line, '#', digits[c>>4], digits[c&15])
			continue
		}
		line = append(line, c)
	}
	return line
}

func appendCount(line []byte, n int64) []byte { return strconv.AppendInt(line, n, 10) }

// orMinusOne returns n if it is known.
func orMinusOne(n int64, known bool) int64 {
	if known {
		return n
	}
	return -1
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
