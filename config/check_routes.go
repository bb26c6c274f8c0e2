package config

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"tokenring/balancer"
	"tokenring/proxy/routing"
)

// checkRoutes reports routes that can't match or say not exactly one thing to do. It reads the
// files of their answers.
func (c *Config) checkRoutes(d *document) {
	names := map[string]int{}
	for i := range c.Routes {
		r, path := &c.Routes[i], item("routes", i)
		if first, taken := names[r.Name]; taken && r.Name != "" {
			d.fail(path+".name", fmt.Sprintf("%s is already called %q", item("routes", first), r.Name), "give each route its own name, or none")
		} else if names[r.Name] = i; strings.Trim(strings.ToLower(r.Name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(r.Name) > 64 {
			d.fail(path+".name", fmt.Sprintf("%q can't be a route's name", r.Name), "use up to 64 letters, digits and - _ .")
		}
		d.checkMatch(path, r)
		d.checkTarget(path, r)
	}
	c.checkUnmatched(d)
}

// checkMatch reports what a route can't match.
func (d *document) checkMatch(path string, r *routing.Config) {
	if d.has(path + ".host") {
		if err := routing.CheckHost(r.Host); err != nil {
			d.fail(path+".host", err.Error(), "write for example api.example.com, or *.example.com for all names below it")
		}
	}
	if d.has(path+".path") && d.has(path+".path_prefix") {
		d.fail(path+".path_prefix", "this route has a path as well", "use path for one path, path_prefix for all that begins with it")
		return
	}
	for key, value := range map[string]string{".path": r.Path, ".path_prefix": r.PathPrefix} {
		if d.has(path + key) {
			if err := routing.CheckPath(value); err != nil {
				d.fail(path+key, err.Error(), "write for example /static/")
			}
		}
	}
}

// checkTarget reports a route with nothing to do, or with two things.
func (d *document) checkTarget(path string, r *routing.Config) {
	var has []string
	for _, key := range []string{"pool", "redirect", "respond"} {
		if d.has(path + "." + key) {
			has = append(has, key)
		}
	}
	switch {
	case d.silent(path):
		return
	case len(has) == 0:
		d.fail(path, "this route says nothing of what becomes of a request", "add pool, redirect or respond")
	case len(has) > 1:
		d.fail(path+"."+has[1], "this route has "+has[0]+" as well", "a route has one of pool, redirect and respond")
	case has[0] == "pool":
		d.checkPoolName(path+".pool", r.Pool)
	case has[0] == "redirect":
		d.checkRedirect(path+".redirect", r.Redirect)
	default:
		d.checkRespond(path+".respond", r.Respond)
	}
}

// checkPoolName reports a pool that there isn't.
func (d *document) checkPoolName(path, name string) {
	if name == routing.MainPool || name != "" && d.has("pools."+name) {
		return
	}
	known := []string{routing.MainPool}
	for at := range d.values {
		if rest, ok := strings.CutPrefix(at, "pools."); ok && !strings.ContainsAny(rest, ".[") {
			known = append(known, rest)
		}
	}
	slices.Sort(known)
	hint := "use one of: " + strings.Join(known, ", ")
	if near := nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean `%s`?", near)
	}
	d.fail(path, fmt.Sprintf("there is no pool %q", name), hint)
}

func (d *document) checkRedirect(path string, r *routing.RedirectConfig) {
	if why := routing.CheckRedirect(r.To); why != "" {
		d.fail(path+".to", why, `write for example "https://ide.example.com", which the path and the query of the request follow`)
	}
	if d.has(path+".status") && !slices.Contains([]int{301, 302, 303, 307, 308}, r.Status) {
		d.fail(path+".status", fmt.Sprintf("%d is no redirect", r.Status), "use 301 or 308 for good, 302, 303 or 307 for now; 307 and 308 keep the method")
	}
	switch {
	case !r.KeepKey:
	case !strings.HasPrefix(r.To, "https://"):
		d.fail(path+".keep_key", "the key would go over the network unencrypted", "redirect to https, or leave keep_key out")
	case !r.Repeats():
		d.fail(path+".keep_key", "this redirect repeats no query", "leave keep_key out, or end `to` with its host")
	}
}

func (d *document) checkRespond(path string, r *routing.RespondConfig) {
	code := r.Code()
	if d.has(path+".status") && (code < 200 || code > 599 || http.StatusText(code) == "") {
		d.fail(path+".status", fmt.Sprintf("%d is no status of an answer", r.Status), "use one that is registered, from 200 to 599")
	}
	if r.Type != "" && (!strings.Contains(r.Type, "/") || strings.ContainsFunc(r.Type, func(c rune) bool { return c < ' ' || c > '~' })) {
		d.fail(path+".type", fmt.Sprintf("%q can't be a Content-Type", r.Type), `write for example "text/plain; charset=utf-8"`)
	}
	switch {
	case r.File == "" && r.Type != "":
		d.fail(path+".type", "this answer has no body", "add file, or leave type out")
	case r.File != "" && (code == 204 || code == 304):
		d.fail(path+".file", fmt.Sprintf("an answer with status %d has no body", code), "leave it out")
	case d.checkFile(path+".file", &r.File):
		body, err := os.ReadFile(r.File)
		if err != nil {
			d.fail(path+".file", err.Error(), "it must be a plain file that this user may read")
		}
		r.Body = string(body)
	}
}

// checkUnmatched reports another word than those that are known, and one that means nothing.
func (c *Config) checkUnmatched(d *document) {
	if !d.has("unmatched") {
		return
	}
	d.checkWord("unmatched", c.Unmatched, routing.UnmatchedPool, routing.UnmatchedMisdirected, routing.UnmatchedNotFound)
	if len(c.Routes) == 0 {
		d.fail("unmatched", "without routes all requests go to the pool", "add routes, or leave unmatched out")
	}
}

// warnOfRefusedRedirects warns of redirects that refuse requests with their key in the path, since they
// would repeat it.
func (c *Config) warnOfRefusedRedirects(d *document) {
	const what, remedy = "a request that has its key in its path (hash.key, path_segment: %d) gets 400 here: a redirect repeats no key", "add %s: true, or %s"
	main := segments(c.Hash.Key)
	for i := range c.Routes {
		r := c.Routes[i].Redirect
		if r == nil || r.KeepKey || !r.Repeats() {
			continue
		}
		for _, n := range main { // requests that are redirected are of the main pool
			if begin, end := balancer.PathSegment([]byte(c.Routes[i].Path), n); c.Routes[i].Path == "" || begin < end {
				d.warn(item("routes", i)+".redirect", fmt.Sprintf(what, n), fmt.Sprintf(remedy, "keep_key", "end `to` with a path, which is the same for all"))
				break
			}
		}
	}
	all := main
	for _, name := range c.PoolNames() {
		all = append(all, segments(c.Pools[name].Hash.Key)...)
	}
	for i, l := range c.Listen {
		if l.RedirectHTTPS && !l.RedirectKeepKey && len(all) > 0 {
			d.warn(item("listen", i)+".redirect_https", fmt.Sprintf(what, all[0]), fmt.Sprintf(remedy, "redirect_keep_key", "let clients ask for https at once"))
		}
	}
}

// segments returns the numbers of the segments of paths in which keys are.
func segments(rules []balancer.KeyRule) (all []int) {
	for _, rule := range rules {
		if n := rule.Segment(); n > 0 {
			all = append(all, n)
		}
	}
	return all
}

// UnmatchedStatus returns the status for a request that no route matches; 0: pool serves it.
func (c *Config) UnmatchedStatus() int {
	status, _ := strconv.Atoi(c.Unmatched) // of pool it is 0
	return status
}

// warnOfRoutes warns of routes that never match, and of pools that no request reaches.
func (c *Config) warnOfRoutes(d *document) {
	main := len(c.Routes) == 0 || c.Unmatched == routing.UnmatchedPool
	reached := map[string]bool{}
	for i := range c.Routes {
		r := &c.Routes[i]
		main = main || r.Pool == routing.MainPool
		reached[r.Pool] = true
		for j := range i {
			if earlier := &c.Routes[j]; earlier.Covers(r) {
				d.warn(item("routes", i), fmt.Sprintf("this route never matches: %s in line %d matches all that it does, and the first match wins", earlier.Label(j), d.placeOf(item("routes", j)).line),
					"put it before that one, or remove it")
				break
			}
		}
	}
	for _, name := range c.PoolNames() {
		if !reached[name] {
			d.warn(under("pools", name), "no request reaches the hosts of this pool", "add a route with pool: "+name)
		}
		if d.has("health.path") && !d.has(under("pools", name)+".health") {
			d.warn(under("pools", name), "checks of this pool's hosts are TCP connects: health at the top is that of pool alone", "write health here, too, such as {path: /up}, or {} if a connect is enough")
		}
	}
	if !main {
		d.warn("unmatched", "no request reaches the hosts of pool", "add a route with pool: pool, or write unmatched: pool")
	}
}
