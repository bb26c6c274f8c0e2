package accesslog

import (
	"bytes"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/http1"
)

// The fields of a line that lb.yaml may ask for.
const (
	FieldHost       = "host" // the name that the client has asked for; the line has it as host_name
	FieldUserAgent  = "user_agent"
	FieldClientPort = "client_port"
	FieldListener   = "listener"
	FieldRoute      = "route"
	FieldPool       = "pool"
	FieldBalancer   = "balancer"
)

// MoreFields are the names of all of them.
var MoreFields = []string{FieldHost, FieldUserAgent, FieldClientPort, FieldListener, FieldRoute, FieldPool, FieldBalancer}

// More is what a line tells beyond its usual fields. A tunnel keeps it as long as it is open, so
// it is there only if lb.yaml asks for it or for HAProxy's form, if a trusted proxy has told the
// client, or if the request has waited for its turn.
type More struct {
	Proxy      string // the address of that proxy, which all lines have; "" if there is none
	ClientPort uint16
	Listener   string // its address in lb.yaml
	Route      string // "" for none
	Pool       string
	Queued     time.Duration // in queues of hosts; always in the line, if it isn't 0

	host, userAgent []byte // set by Log.DescribeMore
}

// WantsMore reports whether lines have further fields. HAProxy's always do.
func (l *Log) WantsMore() bool { return l.HAProxy.Out != nil || l.Out != nil && len(l.Fields) > 0 }

// DescribeMore sets in m what a request says of itself. What may contain the key isn't shown, and
// nothing is shown of a request that was refused. Afterwards m refers to bytes of r.
func (l *Log) DescribeMore(m *More, r *http1.Request, key []byte) {
	m.host = l.Keys.Redact(r.Host, key)
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Kind == http1.KindUserAgent {
			m.userAgent = l.Keys.Redact(f.Value, key)
			return
		}
	}
}

// keep returns a copy of m that doesn't refer to bytes of the request.
func (m *More) keep() *More {
	if m == nil {
		return nil
	}
	kept := *m
	kept.host, kept.userAgent = bytes.Clone(m.host), bytes.Clone(m.userAgent)
	return &kept
}

// writeMore adds the proxy, and the fields that lb.yaml asks for. What isn't known is left out.
func (l *Log) writeMore(line *zerolog.Event, m *More) *zerolog.Event {
	text := func(name, shown, value string) {
		if value != "" && slices.Contains(l.Fields, name) {
			line = line.Str(shown, value)
		}
	}
	if m.Proxy != "" {
		line = line.Str("proxy", m.Proxy)
	}
	text(FieldHost, "host_name", string(m.host))
	text(FieldUserAgent, FieldUserAgent, string(m.userAgent))
	if m.ClientPort != 0 && slices.Contains(l.Fields, FieldClientPort) {
		line = line.Uint16(FieldClientPort, m.ClientPort)
	}
	text(FieldListener, FieldListener, m.Listener)
	text(FieldRoute, FieldRoute, m.Route)
	text(FieldPool, FieldPool, m.Pool)
	text(FieldBalancer, FieldBalancer, l.Balancer)
	if m.Queued != 0 {
		line = line.Dur("queue_ms", m.Queued)
	}
	return line
}
