package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tokenring/balancer"
	"tokenring/config"
	"tokenring/pool/ringfile"
	"tokenring/ringlog"
	"tokenring/route"
)

// maxCandidates is how many hosts an Explanation names at most.
const maxCandidates = 5

// An Explainer says where tokens go with the hosts of a configuration file, and why. It
// makes no connections. All hosts count as healthy, except for the hosts in Down. With At it
// says where tokens went, by what the balancer has written to its state directory.
type Explainer struct {
	File       string   // the name of the configuration file, for errors
	Down       []string // names of hosts that can't serve
	At         string   // a moment of the past, as ringlog.ParseTime reads it; "" for none. Down is empty then
	ShowTokens bool     // explanations have the tokens, which are secrets
	Pool       string   // whose hosts; "" is the main pool
	JSON       bool     // explanations are written as one JSON object in each line, not as a table

	table    *balancer.Table
	view     *ringlog.View   // of the moment
	past     *route.Snapshot // of the moment; nil without At
	digester balancer.Digester
}

// An Explanation says where one token goes.
type Explanation struct {
	Token      string        `json:"token,omitempty"`
	Digest     string        `json:"token_digest,omitempty"`
	Host       string        `json:"host"`
	Candidates []string      `json:"candidates"`
	Rule       balancer.Rule `json:"rule"`
	At         *time.Time    `json:"at,omitempty"`
	Unknown    []string      `json:"unknown,omitempty"` // of the moment At, a sentence each
}

// BuildTable builds the table of the hosts in cfg, or the one of the moment At. Its error
// says what is wrong with cfg, Down or At.
func (x *Explainer) BuildTable(cfg *config.Config) error {
	if x.At != "" {
		return x.restore(cfg)
	}
	section := "pool"
	if x.Pool != "" {
		section = "pools." + x.Pool
	}
	cfg = cfg.OfPool(x.Pool)
	if len(cfg.ListedHosts()) == 0 {
		return fmt.Errorf("%[1]s lists no hosts in %[2]s.hosts or %[2]s.hosts_file; a running balancer knows the hosts of the gossip: ask POST /v1/explain there", x.File, section)
	}
	var hosts []balancer.Host
	var names []string
	for _, h := range cfg.ListedHosts() {
		hosts = append(hosts, h.TableHost())
		names = append(names, h.Name)
	}
	for _, name := range x.Down {
		if !slices.Contains(names, name) {
			return fmt.Errorf("--down %s: there is no such host in %s; the file has %s", name, x.File, strings.Join(names, ", "))
		}
	}
	b, err := balancer.NewForecaster(cfg.Hash)
	if err != nil {
		return err
	}
	x.table, err = b.Build(hosts)
	return err
}

// restore makes the ring of the moment again from what is in the state directory.
func (x *Explainer) restore(cfg *config.Config) error {
	at, err := ringlog.ParseTime(x.At, time.Now())
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	dir := poolDir(cfg, x.Pool)
	rings, err := ringfile.Read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--at: the balancer of %s has kept no ring in state_dir (%s) yet; a running one may know: ask lb ctl explain --at", x.File, dir)
	case err != nil:
		return fmt.Errorf("--at: what the ring was can't be read: %w", err)
	}
	if x.view, err = rings.View(at); err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	if x.past, err = x.view.Snapshot(cfg.OfPool(x.Pool).Hash.Seed); err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	x.view.Notes = append(x.view.Notes, ringlog.NoSessions)
	if x.view.Hash.BoundedLoad > 0 {
		x.view.Notes = append(x.view.Notes, ringlog.NoLoads)
	}
	return nil
}

// LoadDigester loads the key for the digests of tokens: the secret of the peers, or the
// key that lb run has made. If there is no key, explanations have no digests.
func (x *Explainer) LoadDigester(cfg *config.Config) (err error) {
	if cfg.Peers.SecretFile == "" {
		if _, err := os.Stat(cfg.DigestKeyFile()); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	key, err := digestKey(cfg)
	if err == nil {
		x.digester = balancer.NewDigester(key).Pool(x.Pool)
	}
	return err
}

// Explain says where a token goes.
func (x *Explainer) Explain(token string) Explanation {
	line := Explanation{Candidates: []string{}, Rule: balancer.RuleRoundRobin}
	if x.ShowTokens {
		line.Token = token
	}
	if token == "" { // an empty token counts as none
		return line
	}
	line.Digest = x.digester.Digest([]byte(token)).String()
	if x.past != nil {
		return x.explainPast(token, line)
	}
	e := x.table.Explain([]byte(token), func(h balancer.Host) string {
		if slices.Contains(x.Down, h.Name) {
			return "down"
		}
		return ""
	})
	line.Rule = e.Rule
	for _, candidate := range e.Candidates {
		name := x.table.Hosts()[candidate.Host].Name
		if candidate.Chosen {
			line.Host = name
		}
		if candidate.WhyNot == "" && len(line.Candidates) < maxCandidates {
			line.Candidates = append(line.Candidates, name)
		}
	}
	return line
}

// explainPast completes line, the explanation of a token, for the moment At.
func (x *Explainer) explainPast(token string, line Explanation) Explanation {
	e := x.past.Explain(x.past.Key([]byte(token)), route.Stay{}, route.Placement{}, x.view.At)
	line.Rule, line.At, line.Unknown = e.Rule, &x.view.At, x.view.Notes
	if e.Host != nil {
		line.Host = e.Host.Name
	}
	for _, c := range e.Candidates {
		if c.Role != route.RoleOutside && c.Host != nil && c.Host.Serving() && len(line.Candidates) < maxCandidates {
			line.Candidates = append(line.Candidates, c.Name)
		}
	}
	return line
}

// writeMoment writes of which moment the explanations are, and what isn't known of it.
func (x *Explainer) writeMoment(w io.Writer) {
	const layout = "2006-01-02 15:04:05 UTC"
	fmt.Fprintf(w, "\nat\t%s\nsince\t%s, because: %s\n", x.view.At.Format(layout), x.view.Ring.At.UTC().Format(layout), x.view.Ring.Cause)
	if c := x.view.Change; c.Number > 0 {
		fmt.Fprintf(w, "then\t%s, %s\n", c.At.UTC().Format(layout), c.Cause)
	}
	for _, note := range x.view.Notes {
		fmt.Fprintf(w, "unknown\t%s\n", note)
	}
}

// Printer returns a func that writes an explanation to out, and a func that flushes the
// output in the end.
func (x *Explainer) Printer(out io.Writer) (line func(Explanation) error, flush func() error) {
	if x.JSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return func(line Explanation) error { return e.Encode(line) }, func() error { return nil }
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "DIGEST\tHOST\tRULE\tCANDIDATES"
	if x.ShowTokens {
		head = "TOKEN\t" + head
	}
	fmt.Fprintln(w, head)
	return func(e Explanation) error {
			if x.ShowTokens {
				fmt.Fprintf(w, "%s\t", balancer.PrintableKey(e.Token))
			}
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cmp.Or(e.Digest, "-"), cmp.Or(e.Host, "-"), e.Rule, cmp.Or(strings.Join(e.Candidates, " "), "-"))
			return err
		}, func() error {
			if err := w.Flush(); err != nil || x.past == nil {
				return err
			}
			x.writeMoment(w)
			return w.Flush()
		}
}
