package haproxycfg

import "slices"

func takeLog(_ *translation, d *directive) {
	d.note(Changed, "lb logs to standard output, a line for each request or terminal; systemd or the container keeps it")
}

// takeHTTPLog handles option httplog [clf]. A log-format takes precedence over it.
func takeHTTPLog(t *translation, d *directive) {
	if d.no || slices.Contains(d.args(2), "clf") || t.proxy.last("log-format") != nil {
		d.leaveOut()
		return
	}
	t.plan.logFormat.set(d, "log.format", "haproxy", "the lines of requests are as those of option httplog, all other lines are JSON")
}

// writeLog writes log.
func (p *plan) writeLog(w *writer) {
	if p.logFormat.value != "" {
		w.line("log:")
		w.set("format", p.logFormat)
	}
}
