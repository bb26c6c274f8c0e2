package main

import (
	"bufio"
	"cmp"
	"errors"

	"tokenring/config"
	"tokenring/edge"
	"tokenring/proxy/routing"
)

type explainCmd struct {
	Config     string   `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
	Down       []string `placeholder:"NAME" xor:"when" help:"A host that can't serve; may be repeated."`
	At         string   `placeholder:"TIME" xor:"when" help:"Say where they went at this time, such as 02:30, by what the balancer has written to state_dir."`
	Host       string   `placeholder:"HOST" help:"Say which route a request for this host name takes."`
	Path       string   `placeholder:"PATH" help:"The path of that request (default: /)."`
	Method     string   `placeholder:"METHOD" help:"Its method (default: GET)."`
	Format     string   `enum:"table,json" default:"table" help:"table, or json: one object per line."`
	ShowTokens bool     `help:"Show the tokens, which are secrets, beside their digests."`
	Tokens     []string `arg:"" optional:"" placeholder:"TOKEN" help:"Tokens; without any, lb reads them from standard input, one per line."`
}

// Help is the text that --help adds.
func (explainCmd) Help() string {
	return `Says where each token goes with the hosts in the file, in the order of the tokens:
the host, the rule (owner, fallback, none), and which hosts would come next. It
makes no connections and starts nothing. All hosts count as healthy, except for the
hosts named by --down. For hosts that only gossip knows, ask a running balancer
(lb ctl explain).

With --at it says where new requests would have gone at an earlier time, by the last
hundred rings that the balancer has kept in state_dir, whether it runs or not: see
lb ctl ring --help for the form of TIME. Hosts count as they were then, also those that
only gossip knew.

With --host, --path or --method it first says which of the file's routes a request takes,
and then where the tokens go that are given as arguments, with the hosts of that route's pool.

A token is the value of the key exactly as it is in the request, never decoded. It is
shown as the digest that the access log has. For that the file's peers must have a
secret, or its state_dir a key; otherwise there is no digest. Other users of this
machine can see arguments, but not standard input.`
}

// Run explains.
func (c *explainCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	explainer := edge.Explainer{File: c.Config, Down: c.Down, At: c.At, ShowTokens: c.ShowTokens, JSON: c.Format == "json"}
	if c.Host+c.Path+c.Method != "" {
		route := edge.ExplainRoute(cfg, cmp.Or(c.Method, "GET"), c.Host, cmp.Or(c.Path, "/"))
		if err := route.Write(s.out, c.Format == "json"); err != nil || len(c.Tokens) == 0 {
			return err
		}
		switch {
		case route.Pool == "":
			return usageError{errors.New("no host serves this request, so no token decides where it goes")}
		case route.Pool != routing.MainPool:
			explainer.Pool = route.Pool
		}
	}
	if err := explainer.BuildTable(cfg); err != nil {
		return usageError{err}
	}
	if err := explainer.LoadDigester(cfg); err != nil {
		return err
	}
	out := bufio.NewWriter(s.out)
	line, flush := explainer.Printer(out)
	err = eachToken(c.Tokens, s.in, func(token string) error { return line(explainer.Explain(token)) })
	return errors.Join(err, flush(), out.Flush())
}
