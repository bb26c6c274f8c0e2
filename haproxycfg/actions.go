package haproxycfg

import (
	"slices"
	"strings"
)

// An action is what a rule of http-request, tcp-request or the like does, and
// why it matters that lb doesn't do it.
type action struct {
	verdict Verdict
	why     string
	names   []string // one with an asterisk at its end stands for all that begin so
}

const (
	whyTurnsAway = "lb answers no request and turns nobody away by a rule: who is kept out there reaches hosts here. Let a firewall or the hosts do it"
	whyRewrites  = "lb passes on the target as it came, and hashes that. HAProxy hashes what this rule leaves of it: tokens that the rule touches move, and hosts see the targets that clients send"
	whyPaths     = "lb passes on the path as it came: hosts see the paths that clients send"
	whyProgram   = "a program is asked there that may turn requests away, answer them, or change what is hashed; lb asks none"
	whyCounts    = "it changes nothing by itself: see the rules that use what it keeps"
)

// requestActions are those of requests and connections.
var requestActions = []action{
	{Stops, whyTurnsAway, []string{"deny", "reject", "tarpit", "silent-drop", "auth", "return"}},
	{Moves, whyRewrites, []string{"set-uri", "set-query", "set-pathq", "replace-uri", "replace-pathq", "normalize-uri"}},
	{Stops, whyPaths, []string{"set-path", "replace-path"}},
	{Decide, whyProgram, []string{"lua.*", "send-spoe-group"}},
	{Stops, "HAProxy answers these requests itself; here they reach hosts", []string{"use-service"}},
	{Decide, "lb takes a client's address from its connection, or from X-Forwarded-For of trusted_networks: name those in front there, or hosts see their addresses as the clients'", []string{"set-src", "set-src-port"}},
	{Stops, "HAProxy may connect elsewhere by this rule; lb connects to its hosts' addresses only", []string{"set-dst", "set-dst-port", "do-resolve"}},
	{Stops, "hosts get the method as the client sent it", []string{"set-method"}},
	{Decide, "lb has one value of each of timeouts for all requests: where this one is longer, lb cuts what HAProxy keeps. Set the longest in lb.yaml", []string{"set-timeout"}},
	{Decide, "HAProxy tells no token in what isn't HTTP; lb takes all for HTTP", []string{"switch-mode"}},
	{Stops, "lb doesn't read the PROXY protocol: whatever stands in front must connect plainly, or use another address", []string{"expect-proxy", "expect-netscaler-cip"}},
	{LeftOut, "lb slows nobody down by a rule", []string{"set-bandwidth-limit", "pause"}},
	{LeftOut, "lb turns nobody away by a rule: there is nothing to be let off", []string{"allow", "accept"}},
	{LeftOut, whyCounts, []string{"track-sc*", "sc-*", "set-var", "set-var-fmt", "unset-var", "capture", "add-acl", "del-acl", "set-map", "del-map", "do-log"}},
	{LeftOut, "lb has no queue, and treats all requests alike", []string{"set-priority-class", "set-priority-offset", "set-nice", "set-log-level", "strict-mode", "disable-l7-retry", "set-retries"}},
	{LeftOut, "packets aren't marked", []string{"set-mark", "set-tos", "set-fc-mark", "set-fc-tos", "set-bc-mark", "set-bc-tos"}},
	{LeftOut, "bodies are streamed: a host sees a request before its body has come", []string{"wait-for-body"}},
	{LeftOut, "lb takes nothing before the handshake is done", []string{"wait-for-handshake"}},
	{LeftOut, "lb waits for requests as timeouts.head says", []string{"inspect-delay"}},
	{LeftOut, "lb keeps no answers", []string{"cache-use"}},
	{LeftOut, "hosts can send 103 themselves, and lb passes it on", []string{"early-hint"}},
}

// answerActions are those of answers.
var answerActions = []action{
	{Stops, "lb passes on every answer of a host: what this rule keeps from clients reaches them", []string{"deny", "reject", "close", "silent-drop", "return", "redirect"}},
	{Decide, "a program is asked there that may hold answers back or change them; lb asks none", []string{"lua.*", "send-spoe-group"}},
	{Stops, "clients get the status that the host sent", []string{"set-status"}},
	{LeftOut, "lb slows nobody down by a rule", []string{"set-bandwidth-limit", "pause"}},
	{LeftOut, "lb keeps no answers", []string{"cache-store"}},
	{LeftOut, whyCounts, []string{"track-sc*", "sc-*", "set-var", "set-var-fmt", "unset-var", "capture", "add-acl", "del-acl", "set-map", "del-map", "do-log"}},
	{LeftOut, "lb treats all answers alike", []string{"allow", "accept", "content", "set-nice", "set-log-level", "strict-mode", "wait-for-body", "inspect-delay"}},
	{LeftOut, "packets aren't marked", []string{"set-mark", "set-tos", "set-fc-mark", "set-fc-tos", "set-bc-mark", "set-bc-tos"}},
}

// noteAction notes what becomes of a rule that does name.
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
	d.note(Unknown, printable(name)+" is no action that is known here; look it up in HAProxy's manual and see whether it turns somebody away or changes what is hashed")
}

// actionOf returns a rule's action, the i-th word, without what is in brackets.
func (d *directive) actionOf(i int) string {
	name, _, _ := strings.Cut(d.word(i), "(")
	return name
}

// takeConnectionRule handles tcp-request rules: inspect-delay, or a phase with an
// action.
func takeConnectionRule(_ *translation, d *directive) {
	i := 2
	if d.word(1) == "inspect-delay" {
		i = 1
	}
	d.noteAction(requestActions, d.actionOf(i))
}

// takeRequestRule handles http-request rules.
func takeRequestRule(t *translation, d *directive) {
	switch action := d.actionOf(1); {
	case action == "redirect":
		takeRedirect(t, d)
	case t.redirectsOnly() && conditionOf(t.proxy, d).only(term{test: challenge}):
		d.note(Stops, whyChallenges)
	case changesField(action):
		t.takeField(d, action)
	default:
		d.noteAction(requestActions, action)
	}
}

func changesField(action string) bool {
	return strings.HasSuffix(action, "-header") || action == "replace-value"
}

// idleAnswers are fields of answers that say who served them, to people.
var idleAnswers = []string{"server", "via", "x-powered-by", "x-served-by", "x-backend", "x-server", "x-cache", "x-haproxy", "x-via", "alt-svc"}

// takeAnswerRule handles http-response and http-after-response rules.
func takeAnswerRule(_ *translation, d *directive) {
	switch action := d.actionOf(1); {
	case changesField(action) && slices.Contains(idleAnswers, strings.ToLower(d.word(2))):
		d.note(LeftOut, "lb changes no fields of answers: clients get this one as the host sent it, or not at all")
	case changesField(action):
		d.note(Stops, "lb changes no fields of answers: clients get the field as the host sent it, or not at all. Let the hosts set what keeps browsers safe, such as Strict-Transport-Security, or what they rely on")
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

// filters say what becomes of filter lines.
var filters = []action{
	{Decide, "an agent outside HAProxy is asked there, which may turn requests away, or tell HAProxy what to hash; lb asks none", []string{"spoe"}},
	{Stops, "lb speaks HTTP to hosts: one that wants FastCGI can't be reached", []string{"fcgi-app"}},
	{LeftOut, "lb compresses nothing: let the hosts do it, or ship files compressed", []string{"compression", "comp-req", "comp-res"}},
	{LeftOut, "lb keeps no answers", []string{"cache"}},
	{LeftOut, "lb slows nobody down by a rule", []string{"bwlim-in", "bwlim-out"}},
	{LeftOut, "tracing inside HAProxy", []string{"trace", "opentracing", "opentelemetry"}},
}

func takeFilter(_ *translation, d *directive) { d.noteAction(filters, d.word(1)) }
