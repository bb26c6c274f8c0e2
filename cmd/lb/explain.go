package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tokenring/balancer"
	"tokenring/config"
)

type explainCmd struct {
	Config     string   `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
	Down       []string `placeholder:"NAME" help:"A host that can't serve; may be repeated."`
	Format     string   `enum:"table,json" default:"table" help:"table, or json: one object a line."`
	ShowTokens bool     `help:"Show the tokens, which are secrets, beside their digests."`
	Tokens     []string `arg:"" optional:"" placeholder:"TOKEN" help:"Tokens; without any they are read from standard input, one a line."`
}

// Help is the text that --help adds.
func (explainCmd) Help() string {
	return `Says where each token goes with the hosts that the file lists, in the order of
the tokens: the host, by which rule (owner, fallback, none), and who would come
next. It asks nobody and starts nothing: every host counts as healthy but those
named by --down. Of hosts that only gossip knows, ask a running balancer
(POST /v1/explain).

A token is the value of the key as it stands in the request, never decoded. It
is shown as the digest that the access log has; that needs the secret of the
file's peers or the key in its state_dir, and is left out where there is neither.
Arguments can be seen by others on this machine; standard input can't.`
}

// maxCandidates is how many hosts are named for a token.
const maxCandidates = 5

// explained is one line of the answer.
type explained struct {
	Token      string        `json:"token,omitempty"`
	Digest     string        `json:"token_digest,omitempty"`
	Host       string        `json:"host"`
	Candidates []string      `json:"candidates"`
	Rule       balancer.Rule `json:"rule"`
}

// Run explains.
func (c *explainCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	table, err := c.table(cfg)
	if err != nil {
		return usageError{err}
	}
	digester, err := existingDigester(cfg)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(s.out)
	line, flush := c.printer(out)
	err = eachToken(c.Tokens, s.in, func(token string) error { return line(c.explain(table, digester, token)) })
	return errors.Join(err, flush(), out.Flush())
}

// table builds the table of the hosts that the file lists.
func (c *explainCmd) table(cfg *config.Config) (*balancer.Table, error) {
	if len(cfg.Pool.Hosts) == 0 {
		return nil, fmt.Errorf("%s lists no hosts under pool.hosts; a running balancer knows those of the gossip: ask POST /v1/explain", c.Config)
	}
	var hosts []balancer.Host
	var names []string
	for _, h := range cfg.Pool.Hosts {
		hosts = append(hosts, balancer.Host{Name: h.Name, ID: h.ID, Weight: *h.Weight})
		names = append(names, h.Name)
	}
	for _, name := range c.Down {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("--down %s: there is no such host in %s; it has %s", name, c.Config, strings.Join(names, ", "))
		}
	}
	b, err := balancer.NewForecaster(cfg.Hash)
	if err != nil {
		return nil, err
	}
	return b.Build(hosts)
}

// shown writes a token so that a terminal shows it and does nothing else: in quotes
// if it holds what can't be printed.
func shown(token string) string {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(token) || strings.ContainsFunc(token, unprintable) {
		return strconv.Quote(token)
	}
	return token
}

// existingDigester returns the digester of the file's balancer, or one that
// names nothing if there is no key for it yet: explaining leaves nothing behind.
func existingDigester(cfg *config.Config) (balancer.Digester, error) {
	if cfg.Peers.SecretFile == "" {
		if _, err := os.Stat(cfg.DigestKeyFile()); errors.Is(err, fs.ErrNotExist) {
			return balancer.Digester{}, nil
		}
	}
	return newDigester(cfg)
}

// eachToken calls do for each of tokens, or for each line of in if there are none.
func eachToken(tokens []string, in io.Reader, do func(token string) error) error {
	if len(tokens) > 0 {
		for _, token := range tokens {
			if err := do(token); err != nil {
				return err
			}
		}
		return nil
	}
	const longest = 64 << 10 // of a line; more is no token
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		if err := do(lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return usageError{fmt.Errorf("standard input: %w", err)}
	}
	return nil
}

func (c *explainCmd) explain(table *balancer.Table, d balancer.Digester, token string) explained {
	line := explained{Candidates: []string{}, Rule: balancer.RuleRoundRobin}
	if c.ShowTokens {
		line.Token = token
	}
	if token == "" { // as good as none
		return line
	}
	line.Digest = d.Digest([]byte(token))
	e := table.Explain([]byte(token), func(h balancer.Host) string {
		if slices.Contains(c.Down, h.Name) {
			return "down"
		}
		return ""
	})
	line.Rule = e.Rule
	for _, candidate := range e.Candidates {
		name := table.Hosts()[candidate.Host].Name
		if candidate.Chosen {
			line.Host = name
		}
		if candidate.WhyNot == "" && len(line.Candidates) < maxCandidates {
			line.Candidates = append(line.Candidates, name)
		}
	}
	return line
}

// printer returns what writes a line, and what ends the last one.
func (c *explainCmd) printer(out io.Writer) (line func(explained) error, flush func() error) {
	if c.Format == "json" {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return func(x explained) error { return e.Encode(x) }, func() error { return nil }
	}
	w := columns(out)
	head := "DIGEST\tHOST\tRULE\tCANDIDATES"
	if c.ShowTokens {
		head = "TOKEN\t" + head
	}
	fmt.Fprintln(w, head)
	return func(x explained) error {
		if c.ShowTokens {
			fmt.Fprintf(w, "%s\t", shown(x.Token))
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", dash(x.Digest), dash(x.Host), x.Rule, dash(strings.Join(x.Candidates, " ")))
		return err
	}, w.Flush
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
