package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"tokenring/ctl"
	"tokenring/gossip"
)

// ctlCmd is how operators watch and control a running balancer from a shell.
type ctlCmd struct {
	Config    string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The balancer's configuration file, which says where its admin endpoint and token are (default: lb.yaml)."`
	Address   string `placeholder:"URL" help:"The admin endpoint, instead of the file's admin.address, such as https://10.0.0.2:7000."`
	TokenFile string `placeholder:"FILE" help:"The file of the admin token, instead of the file's admin.token_file."`
	CA        string `name:"ca" placeholder:"FILE" help:"PEM file with the endpoint's certificate or its authority's, instead of the file's admin.tls.cert."`
	Format    string `enum:"table,json" default:"table" help:"table, or json: the API's own answers."`

	Status  ctlStatusCmd  `cmd:"" help:"Show the state of the balancer and its region."`
	Hosts   ctlHostsCmd   `cmd:"" help:"List the hosts, or add, change and remove those that operators add."`
	Ring    ctlRingCmd    `cmd:"" help:"Show the shares of the ring, and whether all balancers agree; or what it was."`
	PoolKey ctlPoolKeyCmd `cmd:"" help:"Show which secret each member of the gossip uses, by its digest."`
	Explain ctlExplainCmd `cmd:"" help:"Say where tokens go now, or went earlier, and why."`
	Whatif  ctlWhatifCmd  `cmd:"" help:"Say what a change of the ring would move. Nothing changes."`
	Drain   ctlDrainCmd   `cmd:"" help:"Give a host no new sessions; its live sessions stay."`
	Maint   ctlMaintCmd   `cmd:"" help:"Put a host in maintenance: it gets no requests, and its terminals end."`
	Ready   ctlReadyCmd   `cmd:"" help:"Let a host serve again."`
	Weight  ctlWeightCmd  `cmd:"" help:"Give a host another weight, or its own weight again."`
	Rekey   ctlRekeyCmd   `cmd:"" help:"Take another key for that of a host."`
	Insist  ctlInsistCmd  `cmd:"" help:"Make the changes of the ring that wait for a balancer that is missing."`

	Routes      ctlRoutesCmd      `cmd:"" help:"List the routes, and how often requests have matched them."`
	Limits      ctlLimitsCmd      `cmd:"" help:"Show what one source or key may use, and who has met that."`
	Maintenance ctlMaintenanceCmd `cmd:"" help:"Show, begin or end maintenance: new requests get a page, terminals stay."`

	Sessions ctlSessionsCmd `cmd:"" help:"List the open terminals, find those of a token, or end some."`

	DNS ctlDNSCmd `cmd:"" name:"dns" help:"Watch a server of names."`

	Reload      ctlReloadCmd      `cmd:"" help:"Have the changed configuration take effect; no terminal is cut."`
	Upgrade     ctlUpgradeCmd     `cmd:"" help:"Have another binary take effect; no terminal is cut."`
	Generations ctlGenerationsCmd `cmd:"" help:"List the processes of the balancer, and what they carry."`
}

// Help is the text that --help adds.
func (ctlCmd) Help() string {
	return `A client of the admin API. On the balancer's machine it needs only -c lb.yaml, and
reads only admin and state_dir of that file. From elsewhere it needs --address and
--token-file, and --ca if the system doesn't trust the endpoint's certificate.
Beyond loopback it uses TLS unless --address says http://, which sends the token
unencrypted. On loopback it accepts any certificate unless --ca is given: give --ca if a
tunnel forwards the address, or if another program may listen there when lb run
doesn't. For example:

  lb ctl hosts
  lb ctl explain                  (reads tokens, one per line; other users can see arguments)
  lb ctl ring --history           (when the ring has changed, and why)
  lb ctl whatif --leave ide-2     (which share of the tokens, and which terminals, would move)
  lb ctl whatif --join ide-9=weight:2 --weight ide-3=3 --policy rendezvous
  lb ctl drain ide-2 --reason "new kernel"
  lb ctl weight ide-3 2
  lb ctl weight ide-3 own         (what the host itself announces)
  lb ctl hosts add ide-9 10.0.0.19:4000 --reason "more users"

An override is in force when the command ends, on all balancers soon after, and
survives restarts. If it would move more of the tokens than admin.confirm_share of
lb.yaml, lb ctl says how much and refuses it until it is repeated with --yes.

Exits with 0 for success, with 1 if the balancer can't be reached or refuses, and
with 2 if the command line, the file or the token's file is wrong.`
}

// client returns a client of the balancer that c names.
func (c *ctlCmd) client() (*ctl.Client, error) {
	client, err := ctl.NewClient(ctl.Endpoint{Config: c.Config, Address: c.Address, TokenFile: c.TokenFile, CA: c.CA})
	if err != nil {
		return nil, usageError{err}
	}
	return client, nil
}

// output returns where and how answers are written.
func (c *ctlCmd) output(s *streams) ctl.Output {
	return ctl.Output{Writer: s.out, JSON: c.Format == "json"}
}

type ctlStatusCmd struct{}

type ctlRingCmd struct {
	Pool    string `placeholder:"NAME" help:"Show the ring of this pool, instead of the main one's."`
	At      string `placeholder:"TIME" xor:"when" help:"Show the ring as it was at this time: 02:30 for the last time the clock showed that, or 2026-03-01T02:30:00Z."`
	History bool   `xor:"when" help:"List the rings that were in force, the newest first, and why each came."`
}

// Help is the text that --help adds.
func (ctlRingCmd) Help() string {
	return `A balancer keeps its last hundred rings, and what happened to their hosts meanwhile: it
shows them with --history. TIME of --at is 02:30 or 02:30:15 in the balancer's time zone,
within the last 24 hours; a time of RFC 3339, such as 2026-03-01T02:30:00Z; or one
as lb ctl writes it. docs/ring-history.md says what can't be known.`
}

// Run shows the state of the balancer.
func (ctlStatusCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Status(ctx, c.output(s))
}

// Run shows the ring, or what it was.
func (x *ctlRingCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	switch {
	case err != nil:
		return err
	case x.History:
		return client.RingHistory(ctx, x.Pool, c.output(s))
	case x.At != "":
		return client.RingAt(ctx, x.Pool, x.At, c.output(s))
	}
	return client.Ring(ctx, x.Pool, c.output(s))
}

type ctlPoolKeyCmd struct {
	Expect string        `placeholder:"FILE" help:"Fail unless all members use the secret in this file, the first one if it has two."`
	Except []string      `placeholder:"NAME" help:"Hosts and balancers that need not use it."`
	Wait   time.Duration `placeholder:"TIME" help:"Wait for that, at most so long; 5m, for example."`
}

// Help is the text that --help adds.
func (ctlPoolKeyCmd) Help() string {
	return `Shows the secrets of pool.secret_file and peers.secret_file that this balancer uses,
and with which of them the last packet of each member was encrypted. A secret is shown
as a short digest, which is the same on all machines and doesn't give it away. A
balancer hears from each member about once in half a second for each member there is.

While a secret changes, --expect says when the old one can go: see docs/trust.md. It
names the members that don't use the new one yet. Members that were lost ten minutes
before the change or earlier don't count.`
}

// Run shows the secrets' digests.
func (x *ctlPoolKeyCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	want := ctl.Expectation{Except: x.Except, Patience: x.Wait}
	switch {
	case x.Expect != "":
		keys, err := gossip.ReadSecrets(x.Expect)
		if err != nil {
			return usageError{fmt.Errorf("--expect: %w", err)}
		}
		want.Secret = gossip.SecretDigest(keys[0])
	case x.Wait != 0:
		return usageError{errors.New("--wait: name with --expect the file of the secret to wait for")}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.PoolKey(ctx, want, c.output(s))
}

type ctlExplainCmd struct {
	Pool       string   `placeholder:"NAME" help:"Say where they go in this pool, instead of the main one."`
	At         string   `placeholder:"TIME" xor:"when" help:"Say where they went at this time: see lb ctl ring --at."`
	ShowTokens bool     `help:"Show the tokens, which are secrets, beside their digests."`
	Tokens     []string `arg:"" optional:"" placeholder:"TOKEN" help:"Tokens; without any, lb reads them from standard input, one per line."`
}

// Help is the text that --help adds.
func (ctlExplainCmd) Help() string {
	return `Says where a request with each token would go now through this balancer: the
host, by which rule, and why. For a single token it says more: its slot, the ring,
and all hosts in the order in which the balancer tries them, each with the reason
why the token doesn't go there. A live session takes precedence over the ring; the
balancer knows only sessions that go through itself.

With --at it says where a new request would have gone at an earlier time, and what isn't
known of that time: sessions, for example.

A token is the value of the key as it is in the request, never decoded. It is
shown as the digest that the access log has. Other users of this machine can see
arguments; standard input can't be seen.`
}

// Run asks and writes the answers.
func (x *ctlExplainCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	out := c.output(s)
	buffered := bufio.NewWriter(out.Writer)
	out.Writer, out.ShowTokens = buffered, x.ShowTokens
	explainer := client.Explainer(x.Pool, x.At, out)
	err = eachToken(x.Tokens, s.in, func(token string) error { return explainer.Explain(ctx, token) })
	return errors.Join(err, explainer.Close(), buffered.Flush())
}

type ctlWhatifCmd struct {
	Pool   string         `placeholder:"NAME" help:"Ask about the ring of this pool, instead of the main one's. Its hosts are named like api/a1."`
	Leave  []string       `placeholder:"NAME" help:"A host that would leave the ring; may be repeated."`
	Join   []string       `sep:"none" placeholder:"NAME[=weight:N][,id:N]" help:"A host that would join it; may be repeated. What you leave out is taken from the known host."`
	Weight map[string]int `placeholder:"NAME=N" help:"Another weight for a host in the ring, 0 to 256; may be repeated."`
	Policy string         `placeholder:"NAME" help:"Another policy: consistent, rendezvous, maglev, ketama or haproxy."`
}

// Help is the text that --help adds.
func (ctlWhatifCmd) Help() string {
	return `Compares the ring in force with the ring after the change; the change isn't made.
moved is the share of all tokens that would have another host, ideal the least share
that must move by the weights, astray the share that would move between hosts whose
weights stay. Terminals that are open through this balancer are counted if they would
be on another host when they reconnect.

No terminal ends because of it: a change of the ring cuts none.

With 1,000 hosts the first question takes some ten seconds, later questions less
than one.`
}

// Run asks.
func (w *ctlWhatifCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	question := ctl.Question{Pool: w.Pool, Leave: w.Leave, Weights: w.Weight, Policy: w.Policy}
	for _, text := range w.Join {
		joiner, err := ctl.ParseJoin(text)
		if err != nil {
			return usageError{err}
		}
		question.Join = append(question.Join, joiner)
	}
	if err := question.Check(); err != nil {
		return usageError{err}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Whatif(ctx, question, c.output(s))
}
