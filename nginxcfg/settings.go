package nginxcfg

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokenring/migration"
)

// A setting is one value as it is written in lb.yaml. It is unset if value is "".
type setting struct {
	value string
	line  int
}

// set sets a value unless there is another one already, and notes what happens to the line.
func (s *setting) set(d *directive, key, value string) {
	switch {
	case s.value == "":
		*s = setting{value, d.Number}
		d.note(took, key+": "+value)
	case s.value == value:
		d.note(took, key+": "+value)
	default:
		d.note(leftOut, fmt.Sprintf("%s: %s: lb has one value for all, and line %d's %s stays", key, value, s.line, s.value))
	}
}

// settings fills in what isn't of one pool: timeouts, limits, pages, logs, networks.
func (t *translation) settings() {
	t.timeouts()
	t.bodies()
	t.headers()
	t.quotas()
	for _, s := range t.servers {
		for _, d := range append(s.d.all("error_page"), t.http.all("error_page")...) {
			if !d.noted {
				t.errorPage(s, d)
			}
		}
	}
	for _, d := range t.inForce("expires") {
		if d.arg(0) != "off" {
			d.note(stops, "lb adds no Expires or Cache-Control to answers: let the hosts do it")
		}
	}
	t.accessLog()
}

// A limit in time is a timeout of lb.yaml and the directive that has it in nginx.
var timeouts = []struct{ name, key string }{
	{"client_header_timeout", "head"},
	{"client_body_timeout", "body"},
	{"proxy_connect_timeout", "connect"},
	{"proxy_read_timeout", "response"},
	{"keepalive_timeout", "idle"},
	{"proxy_read_timeout", "tunnel"},
}

// timeouts takes the greatest value of each timeout among the locations that lead to hosts.
func (t *translation) timeouts() {
	for _, one := range timeouts {
		var greatest time.Duration
		var by *directive
		for _, d := range t.inForce(one.name) {
			value, ok := parseTime(d.arg(0))
			if !ok {
				t.decideValue(d)
				continue
			}
			if value > greatest {
				greatest, by = value, d
			}
		}
		if by == nil {
			continue
		}
		s := setting{formatTime(greatest), by.Number}
		t.plan.timeouts[one.key] = s
		for _, d := range t.inForce(one.name) {
			d.note(changed, fmt.Sprintf("timeouts.%s: %s: one value for all, the greatest of the file", one.key, s.value))
		}
	}
	if t.plan.timeouts["tunnel"].value == "" {
		t.main.d.note(changed, "without proxy_read_timeout, nginx cuts a WebSocket on which a host sends nothing for 60 s; lb cuts it after timeouts.tunnel, 1h")
	}
	for _, d := range t.root.all("worker_shutdown_timeout") {
		if value, ok := parseTime(d.arg(0)); ok {
			t.plan.grace.set(d, "shutdown.grace", formatTime(value))
		}
	}
}

func (t *translation) decideValue(d *directive) {
	d.note(decide, "the import can't read this value, and lb has its default")
}

// inForce returns the directives with a name that hold for some location that leads to hosts, each
// once.
func (t *translation) inForce(name string) (all []*directive) {
	for _, s := range t.servers {
		for _, l := range s.locations {
			if l.upstream == nil {
				continue
			}
			for _, d := range l.d.force(name) {
				if !slices.Contains(all, d) {
					all = append(all, d)
				}
			}
		}
	}
	return all
}

// units are those of nginx's times; without one it is seconds.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

var timePart = migration.Pattern(`^(\d{1,9})(ms|[smhdw]?)`)

// parseTime reads a time such as 60, 1h30m or 500ms.
func parseTime(text string) (sum time.Duration, ok bool) {
	for text != "" {
		found := timePart().FindStringSubmatch(text)
		if found == nil {
			return 0, false
		}
		n, _ := strconv.Atoi(found[1])
		sum += time.Duration(n) * units[found[2]]
		text = text[len(found[0]):]
	}
	return sum, sum > 0 && sum < 1<<53
}

// formatTime writes a time as in lb.yaml.
func formatTime(value time.Duration) string {
	text := value.String()
	for _, zero := range []struct{ long, short string }{{"m0s", "m"}, {"h0m", "h"}} {
		if rest, ok := strings.CutSuffix(text, zero.long); ok {
			text = rest + zero.short
		}
	}
	return text
}

// parseSize reads a size such as 1024, 8k or 10m.
func parseSize(text string) (n int, ok bool) {
	shift := 0
	if text != "" {
		shift = map[byte]int{'k': 10, 'K': 10, 'm': 20, 'M': 20, 'g': 30, 'G': 30}[text[len(text)-1]]
	}
	if shift > 0 {
		text = text[:len(text)-1]
	}
	n, err := strconv.Atoi(text)
	return n << shift, err == nil && n >= 0 && n < 1<<30
}

// bodies takes client_max_body_size, which is 1 MB where no line says it.
func (t *translation) bodies() {
	const usual = 1 << 20
	greatest, unlimited, line := 0, false, 0
	all := t.inForce("client_max_body_size")
	for _, d := range all {
		n, ok := parseSize(d.arg(0))
		if !ok {
			t.decideValue(d)
			return
		}
		unlimited = unlimited || n == 0
		if n > greatest {
			greatest, line = n, d.Number
		}
	}
	switch {
	case unlimited:
	case len(all) == 0:
		t.http.note(changed, "limits.body: 1048576, because nginx refuses larger bodies where no client_max_body_size says otherwise")
		greatest = usual
	}
	for _, d := range all {
		if unlimited {
			d.note(changed, "lb has no limit for the bodies of requests, unless limits.body says one")
		} else {
			d.note(changed, fmt.Sprintf("limits.body: %d: one value for all, the greatest of the file", greatest))
		}
	}
	if !unlimited {
		t.plan.body = setting{strconv.Itoa(greatest), line}
	}
}

// ownHead is lb's limit of a request's head, in bytes.
const ownHead = 32768

// headers takes large_client_header_buffers NUMBER SIZE.
func (t *translation) headers() {
	for _, d := range t.inForce("large_client_header_buffers") {
		n, err := strconv.Atoi(d.arg(0))
		size, ok := parseSize(d.arg(1))
		switch {
		case err != nil || !ok || n < 1 || n > 1<<10 || size > 1<<20:
			t.decideValue(d)
		case n*size <= ownHead:
			d.note(changed, fmt.Sprintf("lb's bound for a head is at least %d bytes", ownHead))
		default:
			t.plan.head.set(d, "limits.head", strconv.Itoa(min(n*size, 1<<20)))
		}
	}
}

// accessLog takes whether there is an access log, and where it goes if that is to syslog.
func (t *translation) accessLog() {
	logs := t.http.all("access_log")
	if len(logs) == 1 && logs[0].arg(0) == "off" {
		t.plan.noLog.set(logs[0], "log.access", "false")
		return
	}
	for _, d := range append(logs, t.inForce("access_log")...) {
		words, ok := strings.CutPrefix(d.arg(0), "syslog:")
		to := ""
		for word := range strings.SplitSeq(words, ",") {
			to += syslogTo(word)
		}
		switch {
		case !ok || d.noted:
		case to == "":
			d.note(decide, "lb sends its access log to an IP address or a socket: write it as log.access_output")
		default:
			t.plan.logTo.set(d, "log.access_output", migration.Quote(to))
			d.note(changed, "lines are in lb's own format, by RFC 5424; log.format: haproxy is the other one")
		}
	}
}

// syslogTo returns the place of syslog in a word of access_log, as in lb.yaml.
func syslogTo(word string) string {
	server, ok := strings.CutPrefix(word, "server=")
	if path, unix := strings.CutPrefix(server, "unix:"); unix {
		return "syslog:" + path
	}
	if ip, err := netip.ParseAddr(strings.Trim(server, "[]")); err == nil {
		return "syslog:udp://" + netip.AddrPortFrom(ip, 514).String()
	}
	if at, err := netip.ParseAddrPort(server); ok && err == nil {
		return "syslog:udp://" + at.String()
	}
	return ""
}

// errorPage handles error_page STATUS… PATH, if a location says where the file of the path is.
func (t *translation) errorPage(s *server, d *directive) {
	if len(d.args) < 2 {
		t.decideValue(d)
		return
	}
	target := d.args[len(d.args)-1]
	file := t.fileOf(s, target)
	codes := d.args[:len(d.args)-1]
	known := func(code string) bool {
		n, err := strconv.Atoi(code)
		return err == nil && n >= 400 && n <= 599
	}
	if file == "" || slices.ContainsFunc(codes, func(c string) bool { return !known(c) }) {
		d.note(stops, "lb answers its own errors with pages of its own, or with files of pages.html; it sends no request on to another address because of an error")
		return
	}
	t.mustBeThere(&directive{Line: d.Line, args: []string{file}})
	for _, code := range codes {
		if !slices.ContainsFunc(t.plan.pages, func(p page) bool { return p.status == code }) {
			t.plan.pages = append(t.plan.pages, page{code, file, d.Number})
		}
	}
	d.note(changed, "pages.html: for what lb answers itself; {status} and {request_id} in the file are replaced")
}

// fileOf returns the file that a path stands for, "" if no root says so.
func (t *translation) fileOf(s *server, target string) string {
	if !strings.HasPrefix(target, "/") || strings.Contains(target, "$") {
		return ""
	}
	block := s.d
	for _, l := range s.locations {
		if l.kind == "=" && l.path == target {
			block = l.d
		}
	}
	root := block.force("root")
	if len(root) == 0 || strings.Contains(root[0].arg(0), "$") {
		return ""
	}
	return path.Join(resolve(t.prefix, root[0].arg(0)), target)
}

// isErrorPage reports whether a location is only there for error_page.
func (t *translation) isErrorPage(s *server, l *location) bool {
	if l.kind != "=" || l.pass != nil || l.d.first("return") != nil {
		return false
	}
	return slices.ContainsFunc(s.d.force("error_page"), func(d *directive) bool {
		return len(d.args) > 1 && d.args[len(d.args)-1] == l.path && t.fileOf(s, l.path) != ""
	})
}

// networks takes whose word about a client's address counts.
func (t *translation) networks() {
	for _, block := range append([]*directive{t.http}, serverBlocks(t.servers)...) {
		for _, d := range block.all("set_real_ip_from") {
			if len(block.force("real_ip_header")) == 0 {
				d.note(stops, "without real_ip_header, nginx takes a client's address from X-Real-IP, and lb from X-Forwarded-For: let the proxy in front send that")
			}
			if !isNetwork(d.arg(0)) {
				d.note(decide, "trusted_networks takes networks only: write that of the proxy")
				continue
			}
			d.note(took, "trusted_networks")
			if !slices.Contains(t.plan.trusted, d.arg(0)) {
				t.plan.trusted = append(t.plan.trusted, d.arg(0))
			}
		}
		for _, d := range block.all("real_ip_header") {
			if name := strings.ToLower(d.arg(0)); name == "x-forwarded-for" || name == "proxy_protocol" {
				d.note(took, "lb takes a client's address from there, if it comes from trusted_networks")
			} else {
				d.note(stops, "lb takes a client's address from X-Forwarded-For or the PROXY protocol only: let the proxy in front send one of these")
			}
		}
	}
}

// serverBlocks returns the blocks of servers, and of their locations.
func serverBlocks(all []*server) (blocks []*directive) {
	for _, s := range all {
		blocks = append(blocks, s.d)
		for _, l := range s.locations {
			blocks = append(blocks, l.d)
		}
	}
	return blocks
}
