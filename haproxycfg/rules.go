package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// The handlers of each kind of section, by the key of the directive or, for all
// of a family, its first word. Keywords that are in none are left out.
var (
	globalHandlers = map[string]handler{
		"ca-base":                  takeBase,
		"crt-base":                 takeBase,
		"hard-stop-after":          timer("shutdown", 1, "there it is for what is open after a reload, here for what is open when lb stops"),
		"log":                      takeLog,
		"maxconn":                  takeConnections,
		"ssl-default-bind-options": takeTLSOptions,
		"stats":                    takeSocket,
		"tune.bufsize":             takeBuffer,
		"tune.http.maxhdr":         takeFields,
	}
	frontHandlers = map[string]handler{
		"bind":                               takeBind,
		"default_backend":                    takeDefaultBackend,
		"filter":                             takeFilter,
		"http-after-response":                takeAnswerRule,
		"http-request":                       takeRequestRule,
		"http-response":                      takeAnswerRule,
		"log":                                takeLog,
		"mode":                               takeMode,
		"option forwardfor":                  takeForwardFor,
		"option http-restrict-req-hdr-names": takeNames,
		"redirect":                           takeRedirect,
		"reqadd":                             takeAddedField,
		"stats":                              takeStats,
		"tcp-request":                        takeConnectionRule,
		"tcp-response":                       takeTCPAnswerRule,
		"timeout client":                     takeClientTimeout,
		"clitimeout":                         timer("body", 1, ""),
		"timeout client-hs":                  timer("handshake", 2, ""),
		"timeout http-keep-alive":            timer("idle", 2, ""),
		"timeout http-request":               timer("head", 2, ""),
		"unique-id-header":                   takeUniqueID,
		"use_backend":                        takeUseBackend,
	}
	backHandlers = map[string]handler{
		"balance":                            takeBalance,
		"cookie":                             takeCookie,
		"default-server":                     takeDefaultServer,
		"hash-balance-factor":                takeBalanceFactor,
		"hash-type":                          takeHashType,
		"http-check":                         takeHTTPCheckRule,
		"filter":                             takeFilter,
		"http-after-response":                takeAnswerRule,
		"http-request":                       takeRequestRule,
		"http-response":                      takeAnswerRule,
		"log":                                takeLog,
		"mode":                               takeMode,
		"option abortonclose":                takeAbort,
		"option forwardfor":                  takeForwardFor,
		"option http-restrict-req-hdr-names": takeNames,
		"option httpchk":                     takeHTTPCheck,
		"redirect":                           takeRedirect,
		"reqadd":                             takeAddedField,
		"server":                             takenBefore,
		"server-template":                    takenBefore,
		"stats":                              takeStats,
		"stick":                              takeStick,
		"tcp-request":                        takeConnectionRule,
		"tcp-response":                       takeTCPAnswerRule,
		"contimeout":                         timer("connect", 1, ""),
		"srvtimeout":                         timer("response", 1, ""),
		"timeout check":                      takeCheckTimeout,
		"timeout connect":                    timer("connect", 2, ""),
		"timeout server":                     timer("response", 2, ""),
		"timeout tunnel":                     timer("tunnel", 2, ""),
	}
)

func takeMode(t *translation, d *directive) {
	if d.word(1) == "http" {
		d.note(Took, "lb speaks HTTP")
		return
	}
	if d.unread(1) != "" {
		return // see noteVariables
	}
	d.note(Stops, "mode "+d.word(1)+": what comes here isn't handled as HTTP by HAProxy; lb handles all of it as HTTP")
}

// takenBefore is for servers, which have been taken already.
func takenBefore(*translation, *directive) {}

func takeDefaultServer(_ *translation, d *directive) {
	if len(d.Notes) == 0 {
		d.note(Took, "taken into each server below")
	}
}

func takeBase(_ *translation, d *directive) {
	d.note(Took, "paths of certificates are written out")
}

// takeTLSOptions handles ssl-default-bind-options.
func takeTLSOptions(t *translation, d *directive) {
	words := d.args(1)
	for i, word := range words {
		t.version = version{d, oldest(words[i:], t.version.oldest)}
		switch {
		case word == "ssl-min-ver", word == "no-tlsv12", word == "force-tlsv13":
		case strings.HasPrefix(word, "TLSv"), strings.HasPrefix(word, "SSLv"):
		default:
			if known, ok := bindOptions[word]; ok {
				d.note(known.verdict, word+": "+known.why)
				continue
			}
			d.note(LeftOut, word+": "+whyTLSChoice)
		}
	}
	if len(d.Notes) == 0 && t.version.oldest == "" {
		d.note(LeftOut, whyTLSChoice)
	}
}

func takeLog(_ *translation, d *directive) {
	d.note(Changed, "lb logs to standard output, one line of JSON for each request or terminal; systemd or the container keeps it")
}

func takeSocket(t *translation, d *directive) {
	if d.word(1) != "socket" {
		d.leaveOut()
		return
	}
	t.plan.admin = d.Number
	d.note(Changed, "admin: the API on 127.0.0.1:7000 takes the place of the socket: PATCH /v1/hosts/… for \"set server\", /metrics for \"show stat\"")
}

func takeStats(t *translation, d *directive) {
	t.plan.admin = d.Number
	d.note(Changed, "admin: the dashboard on 127.0.0.1:7000 takes the place of the page; it asks for a token, not for a password")
}

func takeForwardFor(_ *translation, d *directive) {
	if d.no {
		d.note(Changed, "lb always sends X-Forwarded-For")
		return
	}
	d.note(Changed, "always; what clients say of themselves is dropped, unless their network is in trusted_networks")
	if slices.Contains(d.args(2), "except") {
		d.note(Changed, "except: name that network in trusted_networks, and what it says is kept")
	}
	if slices.Contains(d.args(2), "header") {
		d.note(Stops, "the field is called X-Forwarded-For here, always: hosts that read another one have to change")
	}
}

func takeDefaultBackend(t *translation, d *directive) {
	switch {
	case t.redirectsOnly():
		d.note(Took, "all requests that come here are redirected before that, there as here")
		return
	case d.word(1) == t.backend.name:
		d.note(Took, "all requests go to pool.hosts")
		return
	}
	d.note(Stops, "requests that go to another backend there go to pool.hosts here: give them another address, or another balancer in front")
}

func takeUseBackend(t *translation, d *directive) {
	switch c := conditionOf(t.proxy, d); {
	case t.redirectsOnly() && c.only(term{test: challenge}):
		d.note(Stops, whyChallenges)
	case t.redirectsOnly():
		d.note(Took, "all requests that come here are redirected before that, there as here")
	case d.word(1) != t.backend.name:
		d.note(Stops, "lb has no conditions: requests that go to another backend there go to pool.hosts here. Give them another address, or another balancer in front")
	case !c.always() && t.proxy != t.backend && t.proxy.last("default_backend") == nil:
		d.note(Stops, "who doesn't meet the condition gets 503 there, for there is no default_backend, and goes to pool.hosts here: does it keep somebody out?")
	default:
		d.note(Changed, "all requests go to pool.hosts here, whatever the condition")
	}
}

// takeAbort handles option abortonclose.
func takeAbort(t *translation, d *directive) {
	if d.no {
		d.note(Took, "a client that ends its direction of a plain connection is served, there as here")
		return
	}
	t.aborts = d
}

// finishAborts has the plain listeners give up what a client asked for that ends
// its direction. Over TLS that end always means that the client has left.
func (t *translation) finishAborts() {
	if t.aborts == nil {
		return
	}
	for i := range t.plan.listeners {
		if l := &t.plan.listeners[i]; !l.tls && !l.redirect {
			l.aborts = true
			t.aborts.note(Took, fmt.Sprintf("listen: half_close: abort, at %s", l.address))
		}
	}
	if slices.ContainsFunc(t.plan.listeners, func(l listener) bool { return l.tls || l.redirect }) {
		t.aborts.note(Took, "over TLS, what a client asked for is given up when it ends its direction, always; a redirect takes no time")
	}
}

// finish fills in what HAProxy does without a word, once all lines are read.
func (t *translation) finish() {
	t.finishHash()
	t.finishTemplates()
	t.finishChecks()
	t.finishTimeouts()
	t.finishRedirects()
	t.finishAborts()
	t.finishTLS()
	if d := t.backend.last("option redispatch"); d == nil || d.no {
		t.backend.head.note(Changed, "a host that can't be reached: HAProxy tries it again and then answers 503; lb goes on to the host that the token will have once the first is taken out")
	}
	if !slices.ContainsFunc(t.plan.hosts, func(h host) bool { return h.out == "" && h.weight != "0" || h.address == "" }) {
		t.backend.head.note(Decide, "none of its servers is one that serves new users: take in those of pool.hosts that shall")
	}
	for _, s := range t.fronts {
		if slices.ContainsFunc(t.plan.listeners, func(l listener) bool { return slices.Contains(l.fronts, s) }) {
			s.head.note(Took, "its addresses are in listen")
		} else {
			s.head.note(Stops, "no address of it is in listen: whoever connects there isn't served")
		}
	}
}
