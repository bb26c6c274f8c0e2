package haproxycfg

import (
	"slices"
	"strings"
)

// An action is what a rule of http-request, tcp-request or the like does, with the reason why
// it matters that lb doesn't do it.
type action struct {
	verdict Verdict
	why     string
	names   []string // a name that ends with an asterisk matches all names with this prefix
}

const (
	whyTurnsAway = "the import can't take this rule over: clients that HAProxy keeps out by it reach the hosts. Use access in lb.yaml or a firewall, or let the hosts refuse them"
	whyRewrites  = "lb passes on the target as it came, and hashes that. HAProxy hashes what this rule makes of it: tokens that the rule changes move, and hosts see the targets that clients send"
	whyPaths     = "lb passes on the path as it came: hosts see the paths that clients send"
	whyProgram   = "HAProxy asks a program, which may refuse requests, answer them, or change what is hashed; lb asks no program"
	whyCounts    = "this line changes nothing by itself: see the rules that use what it stores"
)

// requestActions are the actions of rules for requests and connections.
var requestActions = []action{
	{Stops, whyTurnsAway, []string{"deny", "reject", "tarpit", "silent-drop", "auth", "return"}},
	{Moves, whyRewrites, []string{"set-uri", "set-query", "set-pathq", "replace-uri", "replace-pathq", "normalize-uri"}},
	{Stops, whyPaths, []string{"set-path", "replace-path"}},
	{Decide, whyProgram, []string{"lua.*", "send-spoe-group"}},
	{Stops, "HAProxy answers these requests itself; lb sends them to hosts", []string{"use-service"}},
	{Decide, "lb takes a client's address from its connection, or from X-Forwarded-For of trusted_networks: name the proxies in front of lb there, or hosts take the proxies' addresses for the clients'", []string{"set-src", "set-src-port"}},
	{Stops, "by this rule HAProxy may connect to other addresses; lb connects only to the addresses of its hosts", []string{"set-dst", "set-dst-port", "do-resolve"}},
	{Stops, "hosts get the method as the client sent it", []string{"set-method"}},
	{Decide, "in lb, each timeout has one value for all requests: where this one is longer, lb cuts what HAProxy keeps. Set the longest in lb.yaml", []string{"set-timeout"}},
	{Decide, "HAProxy finds no token in what isn't HTTP; lb handles everything as HTTP", []string{"switch-mode"}},
	{Stops, "lb reads the PROXY protocol on whole listeners only: write proxy_protocol: required there, and name the networks of the proxies in front in trusted_networks", []string{"expect-proxy", "expect-netscaler-cip"}},
	{LeftOut, "lb has no rules that slow clients down", []string{"set-bandwidth-limit", "pause"}},
	{LeftOut, "the import takes no rule over that refuses such clients, so no exception is needed", []string{"allow", "accept"}},
	{LeftOut, whyCounts, []string{"track-sc*", "sc-*", "set-var", "set-var-fmt", "unset-var", "capture", "add-acl", "del-acl", "set-map", "del-map", "do-log"}},
	{LeftOut, "lb treats all requests alike", []string{"set-priority-class", "set-priority-offset", "set-nice", "set-log-level", "strict-mode", "disable-l7-retry", "set-retries"}},
	{LeftOut, "lb doesn't mark packets", []string{"set-mark", "set-tos", "set-fc-mark", "set-fc-tos", "set-bc-mark", "set-bc-tos"}},
	{LeftOut, "lb streams bodies: a host gets a request before its body has come", []string{"wait-for-body"}},
	{LeftOut, "lb reads no request before the handshake is done", []string{"wait-for-handshake"}},
	{LeftOut, "timeouts.head says how long lb waits for a request", []string{"inspect-delay"}},
	{LeftOut, "lb caches no answers", []string{"cache-use"}},
	{LeftOut, "hosts can send 103 themselves, and lb passes it on", []string{"early-hint"}},
}

// answerActions are the actions of rules for answers.
var answerActions = []action{
	{Stops, "lb passes on every answer of a host: clients also get the answers that this rule keeps from them", []string{"deny", "reject", "close", "silent-drop", "return", "redirect"}},
	{Decide, "HAProxy asks a program, which may hold answers back or change them; lb asks no program", []string{"lua.*", "send-spoe-group"}},
	{Stops, "clients get the status that the host sent", []string{"set-status"}},
	{LeftOut, "lb has no rules that slow clients down", []string{"set-bandwidth-limit", "pause"}},
	{LeftOut, "lb caches no answers", []string{"cache-store"}},
	{LeftOut, whyCounts, []string{"track-sc*", "sc-*", "set-var", "set-var-fmt", "unset-var", "capture", "add-acl", "del-acl", "set-map", "del-map", "do-log"}},
	{LeftOut, "lb treats all answers alike", []string{"allow", "accept", "content", "set-nice", "set-log-level", "strict-mode", "wait-for-body", "inspect-delay"}},
	{LeftOut, "lb doesn't mark packets", []string{"set-mark", "set-tos", "set-fc-mark", "set-fc-tos", "set-bc-mark", "set-bc-tos"}},
}

// noteAction notes what happens to a rule with an action.
func (d *directive) noteAction(all []action, name string) {
	for _, a := range all {
		if slices.ContainsFunc(a.names, func(known string) bool {
			begin, rest := strings.CutSuffix(known, "*")
			return known == name || rest && strings.HasPrefix(name, begin)
		}) {
			d.note(a.verdict, a.why)
			return
		}
	}
	d.note(Unknown, printable(name)+" isn't an action that the import knows; look it up in HAProxy's manual, and check whether it refuses clients or changes what is hashed")
}

// actionOf returns a rule's action, the i-th word, without its arguments in brackets.
func (d *directive) actionOf(i int) string {
	name, _, _ := strings.Cut(d.word(i), "(")
	return name
}

// takeConnectionRule handles tcp-request rules: inspect-delay, or a phase with an
// action.
func takeConnectionRule(t *translation, d *directive) {
	i := 2
	if d.word(1) == "inspect-delay" {
		i = 1
	}
	if action := d.actionOf(i); !t.limitSources(d, action) && !t.refuse(d, action) && !t.excepts(d, action) {
		d.noteAction(requestActions, action)
	}
}

// takeRequestRule handles http-request rules.
func takeRequestRule(t *translation, d *directive) {
	switch action := d.actionOf(1); {
	case action == "redirect":
		takeRedirect(t, d)
	case t.redirectsOnly() && conditionOf(t.proxy, d).only(term{test: challenge}):
		t.answerChallenge(d, action)
	case changesField(action):
		t.takeField(d, action)
	case t.limitSources(d, action), t.refuse(d, action), t.excepts(d, action), action == "auth" && t.askPassword(d):
	case (action == "deny" || action == "return") && t.answer(d, action):
	default:
		d.noteAction(requestActions, action)
	}
}

func changesField(action string) bool {
	return strings.HasSuffix(action, "-header") || action == "replace-value"
}

// idleAnswers are fields of answers that tell people which server answered.
var idleAnswers = []string{"server", "via", "x-powered-by", "x-served-by", "x-backend", "x-server", "x-cache", "x-haproxy", "x-via", "alt-svc"}

// takeAnswerRule handles http-response and http-after-response rules.
func takeAnswerRule(t *translation, d *directive) {
	switch action := d.actionOf(1); {
	case changesField(action) && t.change(d, false, action, d.word(2), d.word(3)):
	case changesField(action) && slices.Contains(idleAnswers, strings.ToLower(d.word(2))):
		d.note(LeftOut, "lb doesn't make this change of answers: clients get this one as the host sent it, or not at all")
	case changesField(action):
		d.note(Stops, "lb doesn't make this change of answers: clients get the field as the host sent it, or not at all. Let the hosts set fields that keep browsers safe, such as Strict-Transport-Security, and fields that clients rely on")
	default:
		d.noteAction(answerActions, action)
	}
}

// takeTCPAnswerRule handles tcp-response rules.
func takeTCPAnswerRule(_ *translation, d *directive) {
	i := 2
	if d.word(1) == "inspect-delay" {
		i = 1
	}
	d.noteAction(answerActions, d.actionOf(i))
}

// filters say what happens to filter lines.
var filters = []action{
	{Decide, "HAProxy asks an agent outside, which may refuse requests, or tell HAProxy what to hash; lb asks no agent", []string{"spoe"}},
	{Stops, "lb speaks HTTP to hosts: one that wants FastCGI can't be reached", []string{"fcgi-app"}},
	{LeftOut, "lb compresses nothing: let the hosts do it, or let them serve compressed files", []string{"compression", "comp-req", "comp-res"}},
	{LeftOut, "lb caches no answers", []string{"cache"}},
	{LeftOut, "lb has no rules that slow clients down", []string{"bwlim-in", "bwlim-out"}},
	{LeftOut, "tracing of HAProxy itself", []string{"trace", "opentracing", "opentelemetry"}},
}

func takeFilter(_ *translation, d *directive) { d.noteAction(filters, d.word(1)) }
