//go:build integration

package hashing

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
)

// A road is one kind of request that both balancers are asked, with each of the tokens.
type road struct {
	method, host, path string
	plain              bool   // without TLS
	bare               bool   // without a token
	from               string // the client's address; 127.0.0.1 if it is empty
	user, password     string
	fields             map[string]string
}

// roads lead everywhere in a-whole-edge-of-2024.txtar.
var roads = []road{
	{path: "/environment"},
	{path: "/environment", fields: map[string]string{"X-Debug": "1", "X-Real-IP": "192.0.2.1", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Port": "1", "X-Tier": "me"}},
	{path: "/api/items"},
	{method: "POST", path: "/api/items"},
	{method: "DELETE", path: "/api/items"},
	{path: "/static/a.js"},
	{path: "/static"},
	{path: "/favicon.ico"},
	{path: "/up", bare: true},
	{path: "/environment", bare: true},
	{path: "/robots.txt"},
	{path: "/v0"},
	{path: "/v0/more"},
	{path: "/help"},
	{path: "/.git/config"},
	{path: "/.well-known/acme-challenge/x", plain: true},
	{path: "/environment", plain: true},
	{method: "POST", path: "/environment", plain: true},
	{host: "api.example.com", path: "/"},
	{host: "API-EU.example.com", path: "/items"},
	{host: "assets.example.com", path: "/logo.png"},
	{host: "other.example.com", path: "/"},
	{host: "old.example.com", path: "/a/b"},
	{host: "old.example.com", path: "/robots.txt"},
	{host: "admin.example.com", path: "/"},
	{host: "admin.example.com", path: "/", user: "eva", password: "hunter2"},
	{host: "admin.example.com", path: "/", user: "eva", password: "hunter3"},
	{host: "admin.example.com", path: "/", user: "max", password: "hunter2"},
	{host: "admin.example.com", path: "/v0", user: "eva", password: "hunter2"},
	{host: "admin.example.com", path: "/", from: "127.8.0.1", user: "eva", password: "hunter2"},
	{path: "/environment", from: "127.9.9.7"},
	{path: "/environment", from: "127.9.8.7"},
}

// A sight is what a client sees of its answer, and its host of the request.
type sight struct {
	Status   int
	Hosts    string            // all that may have answered: the host alone where a token has one
	Answer   map[string]string // fields
	Request  map[string]string // fields
	Line     string            // method, target and Host
	Body     string            // if no host has answered
	Location string
}

// others are the differences between the two, and why they are meant.
var others = []struct {
	why   string
	apply func(r *road, theirs, ours *sight)
}{
	{"lb tells hosts the name that clients have asked for, and gives each request an id of a form of its own", func(_ *road, theirs, ours *sight) {
		for _, s := range []*sight{theirs, ours} {
			delete(s.Request, "X-Request-Id")
			delete(s.Answer, "X-Request-Id")
		}
		delete(ours.Request, "X-Forwarded-Host")
	}},
	{"HAProxy adds to X-Forwarded-For what clients have sent, who may be anybody; lb drops that", func(_ *road, theirs, _ *sight) {
		if list := theirs.Request["X-Forwarded-For"]; list != "" {
			theirs.Request["X-Forwarded-For"] = list[strings.LastIndexByte(list, ' ')+1:]
		}
	}},
	{"lb tells hosts by X-Forwarded-Proto how the client came, on plain listeners, too", func(r *road, _, ours *sight) {
		if r.plain {
			delete(ours.Request, "X-Forwarded-Proto")
		}
	}},
	{"fields hold in lb on all listeners, and in HAProxy in the frontend with TLS alone", func(r *road, theirs, ours *sight) {
		if r.plain {
			for _, name := range []string{"X-Real-Ip", "X-Forwarded-Port"} {
				delete(ours.Request, name)
			}
			delete(ours.Answer, "X-Frame-Options")
			delete(theirs.Answer, "X-Powered-By")
		}
	}},
	{"lb sends fields of answers with its own answers, too", func(_ *road, theirs, ours *sight) {
		if ours.Hosts == "" && theirs.Hosts == "" {
			delete(ours.Answer, "X-Frame-Options")
		}
	}},
	{"the answers of both have words of their own", func(_ *road, theirs, ours *sight) {
		for _, s := range []*sight{theirs, ours} {
			if s.Status != 200 {
				s.Body = ""
			}
			if s.Hosts == "" {
				for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "Connection", "Vary"} {
					delete(s.Answer, name)
				}
			}
		}
	}},
	{"lb's redirects leave the token out, with a status that isn't stored, and say a port that isn't 443", func(r *road, theirs, ours *sight) {
		theirs.Location = withoutToken.ReplaceAllString(theirs.Location, "")
		ours.Location = strings.Replace(ours.Location, ":10443/", "/", 1)
		if r.plain && theirs.Status == 301 && (ours.Status == 307 || r.method == "POST" && ours.Status == 308) {
			theirs.Status = ours.Status
		}
	}},
	{"lb closes connections from networks that are denied at all, and HAProxy answers 403", func(_ *road, theirs, ours *sight) {
		if ours.Status == closed && theirs.Status == 403 {
			theirs.Status, theirs.Answer = closed, nil
		}
	}},
	{"HAProxy answers a monitor before all other rules, with a page", func(r *road, theirs, ours *sight) {
		if r.path == "/up" {
			theirs.Body, theirs.Answer, ours.Answer = "", nil, nil
		}
	}},
	{"lb says that names and passwords are in UTF-8 (RFC 7617 §2.1)", func(_ *road, _, ours *sight) {
		if ask := ours.Answer["Www-Authenticate"]; ask != "" {
			ours.Answer["Www-Authenticate"] = strings.TrimSuffix(ask, `, charset="UTF-8"`)
		}
	}},
}

// closed stands for a connection that was closed without an answer.
const closed = 0

var withoutToken = regexp.MustCompile(`\?token=[^&]*$`)

// elsewhere is how many tokens are tried where none chooses a host. Wrong passwords take time.
const elsewhere = 20

// compareRoads asks both on all roads, and wants the same but for others.
func (p *place) compareRoads() {
	keys, met := randomKeys(), make([]bool, len(others))
	for i := range keys {
		keys[i] = "user-" + keys[i] // lb redirects nobody whose token is in the path
	}
	for i := range roads {
		r := &roads[i]
		some := keys[:elsewhere]
		if r.host == "" && r.path == "/environment" {
			some = keys
		}
		theirs, ours := p.travel(r, p.theirs, some), p.travel(r, p.ours, some)
		for k := range some {
			for i, d := range others {
				before := fmt.Sprint(theirs[k], ours[k])
				d.apply(r, &theirs[k], &ours[k])
				met[i] = met[i] || fmt.Sprint(theirs[k], ours[k]) != before
			}
			if diff := cmp.Diff(theirs[k], ours[k]); diff != "" {
				p.t.Errorf("%+v, token %q: -HAProxy +lb\n%s", *r, keys[k], diff)
				break
			}
		}
	}
	for i, d := range others {
		if !met[i] {
			p.t.Errorf("a difference that nothing has shown: %s", d.why)
		}
	}
}

// travel asks one balancer for all tokens.
func (p *place) travel(r *road, at entrances, keys []string) []sight {
	p.t.Helper()
	host := or(r.host, "ide.example.com")
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(or(r.from, "127.0.0.1"))}}
	scheme, address := "https", at.tls
	if r.plain {
		scheme, address = "http", at.plain
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: askers,
		DisableCompression:  true,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, ServerName: "ide.example.com"},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: startLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	sights := make([]sight, len(keys))
	var group sync.WaitGroup
	for first := range askers {
		group.Go(func() {
			for i := first; i < len(keys); i += askers {
				sights[i] = p.see(client, r, scheme+"://"+host+r.target(keys[i]))
			}
		})
	}
	group.Wait()
	poolWhereNoTokenCounts(sights, r.bare)
	return sights
}

// poolWhereNoTokenCounts puts all hosts that have answered in the place of each, where hosts of a pool take turns.
func poolWhereNoTokenCounts(sights []sight, bare bool) {
	hosts := map[string]bool{}
	for _, s := range sights {
		hosts[s.Hosts] = true
	}
	if len(hosts) > 1 && (bare || !strings.HasPrefix(sights[0].Hosts, "127.77.0.")) {
		all := strings.Join(slices.Sorted(maps.Keys(hosts)), " ")
		for i := range sights {
			sights[i].Hosts = all
		}
	}
}

// target returns the path and query of a request with a token.
func (r *road) target(key string) string {
	if r.bare {
		return r.path
	}
	return r.path + "?token=" + key
}

// see returns what becomes of one request. Whoever is refused before TLS gets no answer.
func (p *place) see(client *http.Client, r *road, target string) sight {
	req, err := http.NewRequest(or(r.method, "GET"), target, nil)
	if err != nil {
		p.t.Error(err)
		return sight{}
	}
	for name, value := range r.fields {
		req.Header.Set(name, value)
	}
	if r.user != "" {
		req.SetBasicAuth(r.user, r.password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return sight{Status: closed, Body: closedBecause(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return sight{Status: closed, Body: fmt.Sprint("while it answered: ", err)}
	}
	s := sight{Status: resp.StatusCode, Hosts: resp.Header.Get("X-Host"), Location: resp.Header.Get("Location"), Answer: flat(resp.Header)}
	for _, name := range []string{"Date", "Content-Length", "X-Host", "Location"} {
		delete(s.Answer, name)
	}
	if s.Hosts == "" {
		s.Body = string(body)
		return s
	}
	var request seen
	if err := json.Unmarshal(body, &request); err != nil {
		p.t.Errorf("%s: a host's answer: %v", target, err)
	}
	s.Request = flat(request.Fields)
	s.Line = request.Method + " " + request.Target + " " + request.Host
	return s
}

// closedBecause returns "" for a connection that was closed, and what else has happened.
func closedBecause(err error) string {
	for _, usual := range []string{"EOF", "connection reset by peer", "broken pipe"} {
		if strings.HasSuffix(err.Error(), usual) {
			return ""
		}
	}
	return err.Error()
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func flat(fields http.Header) map[string]string {
	all := map[string]string{}
	for name, values := range fields {
		all[name] = strings.Join(values, ", ")
	}
	return all
}
