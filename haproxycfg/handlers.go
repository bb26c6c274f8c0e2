package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// The handlers of each kind of section, by the key of the directive, or by its first word for
// a whole family. Keywords without a handler are left out.
var (
	globalHandlers = map[string]handler{
		"ca-base":                  takeBase,
		"crt-base":                 takeBase,
		"hard-stop-after":          timer("grace", 1, "in HAProxy it is for what is open after a reload, in lb for what is open when lb stops"),
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
		"errorfile":                          takeErrorFile,
		"errorfiles":                         takeErrorFiles,
		"http-error":                         takeHTTPError,
		"filter":                             takeFilter,
		"http-after-response":                takeAnswerRule,
		"http-request":                       takeRequestRule,
		"http-response":                      takeAnswerRule,
		"log":                                takeLog,
		"mode":                               takeMode,
		"monitor-uri":                        takeMonitor,
		"option forwardfor":                  takeForwardFor,
		"option http-restrict-req-hdr-names": takeNames,
		"option httplog":                     takeHTTPLog,
		"redirect":                           takeRedirect,
		"reqadd":                             takeAddedField,
		"rspadd":                             takeAddedAnswerField,
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
		"errorfile":                          takeErrorFile,
		"errorfiles":                         takeErrorFiles,
		"http-error":                         takeHTTPError,
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
		"option httplog":                     takenBefore, // with the frontends
		"redirect":                           takeRedirect,
		"reqadd":                             takeAddedField,
		"rspadd":                             takeAddedAnswerField,
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
		"timeout queue":                      takeQueueTimeout,
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
	d.note(Stops, "mode "+d.word(1)+": HAProxy doesn't handle this traffic as HTTP; lb handles all traffic as HTTP")
}

// takenBefore handles lines that have been translated already, such as those of servers.
func takenBefore(*translation, *directive) {}

func takeDefaultServer(_ *translation, d *directive) {
	if len(d.Notes) == 0 {
		d.note(Took, "applied to each server below")
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
	d.note(Changed, "lb always sets it, and drops what clients send in it, unless their network is in trusted_networks")
	if slices.Contains(d.args(2), "except") {
		d.note(Changed, "except: name that network in trusted_networks, and lb keeps what clients from there send")
	}
	if slices.Contains(d.args(2), "header") {
		d.note(Stops, "lb always names the field X-Forwarded-For: hosts that read another field have to change")
	}
}

// takeAbort handles option abortonclose.
func takeAbort(t *translation, d *directive) {
	if d.no {
		d.note(Took, "HAProxy and lb both serve a client that ends its direction of a plain connection")
		return
	}
	t.aborts = d
}

// finishAborts sets half_close: abort on the plain listeners. Over TLS, a client that ends its
// direction has always left.
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
		t.aborts.note(Took, "over TLS, lb always gives a request up when the client ends its direction; a redirect takes no time")
	}
}

// finish fills in HAProxy's defaults, when all lines have been read.
func (t *translation) finish() {
	t.finishHash()
	t.finishTemplates()
	t.finishChecks()
	t.finishTimeouts()
	t.finishRedirects()
	t.unmatched()
	t.finishAborts()
	t.finishAccess()
	t.finishTerms()
	t.finishTLS()
	if d := t.backend.last("option redispatch"); d == nil || d.no {
		t.backend.head.note(Changed, "when a host can't be reached, HAProxy tries it again and then answers 503; lb tries the next host: the one that will have the token when the first is out")
	}
	if !slices.ContainsFunc(t.plan.hosts, func(h host) bool { return h.out == "" && h.weight != "0" || h.address == "" }) {
		t.backend.head.note(Decide, "none of its servers serves new users: change pool.hosts so that some hosts do")
	}
	for _, s := range t.fronts {
		if slices.ContainsFunc(t.plan.listeners, func(l listener) bool { return slices.Contains(l.fronts, s) }) {
			s.head.note(Took, "its addresses are in listen")
		} else {
			s.head.note(Stops, "none of its addresses is in listen: lb doesn't serve clients that connect to them")
		}
	}
}
