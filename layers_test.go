// Package tokenring_test holds what is true of the repository as a whole.
package tokenring_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "tokenring"

// layers are the packages by layer, the lowest first. A package imports only
// packages of lower layers. What isn't here but below outside stands above them
// all, and nobody imports it.
var layers = [][]string{
	{"answers", "clientcert", "http1", "http2", "balancer", "migration", "notify", "netaddr", "mutant", "gossip/inspect/forge", "pool/moment", "lease", "proxy/proxyheader", "dnswire", "steer", "geo"}, // arithmetic
	{"route", "proxy/fields", "proxy/hashkey"},                                                                                  // arithmetic, above balancer and http1
	{"pool/conflict", "pool/eligibility", "pool/votes", "pool/waits", "ringlog"},                                                // arithmetic, above route
	{"statefile", "migration/claims", "filewatch", "loglimit", "systemd", "problem", "testlog", "weightfile", "gossip/inspect"}, // files that survive a crash; files that change; failures that are logged rarely; the service manager; how APIs say what is wrong; the log of a test; the weight of a host; gossip's messages before they count
	{"gossip/announcement", "proxy/access", "proxy/basicauth", "proxy/queue"},                                                   // by which addresses and passwords clients may come; how many requests a host has, and which wait; what a host signs, and by which key it is known
	{"gossip", "tlsterm", "resolver", "poller", "session", "builder", "hostkeys", "lastwrite", "handover", "counters", "maintenance", "logsink", "logqueue", "pool/hostlist", "pool/ringfile"}, // each owns one resource
	{"hosttls"}, // TLS to hosts, above tlsterm
	{"health", "stream", "session/region", "session/claims"}, // checks; the streams on which balancers tell each other their sessions; what a balancer knows of these; which hosts new keys get
	{"peers"},                       // what balancers tell each other
	{"pool/gossips", "pool/handed"}, // the two gossips of a balancer; what it hands over to another process
	{"pool"},                        // hosts, balancers and their ring
	{"proxy/deadline", "proxy/decisions", "proxy/limit", "proxy/quota", "proxy/socket"},                                                                                            // what the parts of proxy share
	{"proxy/accesslog", "proxy/affinity", "proxy/clienttls", "proxy/idle", "proxy/localreply", "proxy/metrics", "proxy/passed", "proxy/rewrite", "proxy/tunnel", "proxy/upstream"}, // the data path's parts
	{"proxy/elder", "proxy/h2server", "proxy/routing", "proxy/secondchance"}, {"proxy/pools"},                                                                                      // above tunnel; above clienttls; above localreply and metrics
	{"proxy", "admin", "demo", "gate", "gslb"},                                          // each serves one kind of visitor
	{"config", "haproxycfg", "nginxcfg"},                                                // composes the parts' own configuration; read others'
	{"edge", "ctl", "manpage", "completion", "config/reference", "migration/storytest"}, // one balancer; operators' shell; what describes the command line, and the configuration
	{"parent"},                        // starts generations of a balancer, and owns their sockets
	{"chaos/record", "chaos/network"}, // what a host of the chaos run has served; namespaces on one machine
	{"chaos/host", "chaos/oracle"},    // such a host; whether promises were kept
	{"chaos/region", "chaos/users"},   // balancers and hosts, and what breaks; who uses them
	{"cmd/lb"},                        // wiring
}

// outside are the directories of test and benchmark programs.
var outside = []string{"integration", "bench", "chaos"}

// crowded are the packages that have grown beyond one noun before, and mostFiles is how many
// files they may have, tests aside: what comes next to them finds a noun of its own.
var crowded = []string{"pool", "proxy"}

const mostFiles = 15

// arithmetic is how many of the lowest layers have no sockets, goroutines or clock.
const arithmetic = 3

// impure is what arithmetic doesn't import, and what it doesn't use of packages that
// it may import: moments and addresses are values.
var (
	impure  = []string{"context", "net/http", "os"}
	useless = map[string][]string{
		"time": {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"},
		"net":  {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "Dialer", "Listen", "ListenConfig", "ListenPacket", "Lookup*", "Resolver", "DefaultResolver"},
	}
)

// A source is what one Go file imports and does.
type source struct {
	file, pkg string
	imports   []string
	uses      []string // package.Name of what it selects of imported packages
	goes      bool     // it starts a goroutine
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, s := range sources(t) {
		from := layer(s.pkg)
		if from < 0 {
			t.Errorf("%s: the package %s is in no layer", s.file, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			pkg, ours := strings.CutPrefix(imported, module+"/")
			if pkg == "testlog" {
				t.Errorf("%s imports %s, which is for tests", s.file, pkg)
			}
			if to := layer(pkg); ours && to >= from {
				t.Errorf("%s: %s (layer %d) imports %s (layer %d)", s.file, s.pkg, from+1, pkg, to+1)
			}
		}
	}
}

func TestEveryPackageOfALayerExists(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		found[s.pkg] = true
	}
	for _, pkg := range slices.Concat(layers...) {
		if !found[pkg] {
			t.Errorf("there is no package %s; there are %v", pkg, slices.Sorted(maps.Keys(found)))
		}
	}
}

func TestPackagesStayOneNoun(t *testing.T) {
	files := map[string][]string{}
	for _, s := range sources(t) {
		files[s.pkg] = append(files[s.pkg], path.Base(s.file))
	}
	for _, pkg := range crowded {
		if n := len(files[pkg]); n == 0 || n > mostFiles {
			t.Errorf("%s has %d files, and may have 1 to %d: %v", pkg, n, mostFiles, files[pkg])
		}
	}
}

// TestTheGlossaryStaysShort: whoever needs more words should look for better ones.
func TestTheGlossaryStaysShort(t *testing.T) {
	page, err := os.ReadFile("docs/words.md")
	if err != nil {
		t.Fatal(err)
	}
	_, words, _ := strings.Cut(string(page), "| word | here |")
	if n := strings.Count(words, "\n| "); n == 0 || n > 25 {
		t.Errorf("the glossary has %d words, and may have 1 to 25", n)
	}
}

// TestTheMapIsTwoPages: what is longer belongs to docs/inside.md.
func TestTheMapIsTwoPages(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(page))); n > 1250 {
		t.Errorf("ARCHITECTURE.md has %d words, and may have 1250", n)
	}
}

func TestArithmeticHasNoSocketGoroutineOrClock(t *testing.T) {
	for _, s := range sources(t) {
		if l := layer(s.pkg); l < 0 || l >= arithmetic {
			continue
		}
		for _, imported := range s.imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s", s.file, imported)
			}
		}
		for _, use := range s.uses {
			if isImpure(use) {
				t.Errorf("%s uses %s", s.file, use)
			}
		}
		if s.goes {
			t.Errorf("%s starts a goroutine", s.file)
		}
	}
}

// isImpure reports whether use, package.Name, is of what arithmetic doesn't use.
func isImpure(use string) bool {
	pkg, name, _ := strings.Cut(use, ".")
	return slices.ContainsFunc(useless[pkg], func(pattern string) bool {
		prefix, all := strings.CutSuffix(pattern, "*")
		return name == prefix || all && strings.HasPrefix(name, prefix)
	})
}

// TestVisitorsLinkNoGossip keeps what a user's bytes pass through small: neither
// memberlist nor a DNS library is linked into it. No server of visitors links pool or
// peers: edge joins them by functions.
func TestVisitorsLinkNoGossip(t *testing.T) {
	for _, visitor := range []string{"proxy", "admin", "demo"} {
		out, err := exec.Command("go", "list", "-deps", "./"+visitor).Output()
		if err != nil {
			t.Fatal(err)
		}
		deps := strings.Fields(string(out))
		if !slices.Contains(deps, module+"/route") {
			t.Fatalf("%s: go list names %d packages, and route isn't among them", visitor, len(deps))
		}
		for _, dep := range deps {
			if dep == module+"/pool" || dep == module+"/peers" || strings.Contains(dep, "memberlist") || strings.Contains(dep, "dns") && !strings.HasPrefix(dep, "vendor/") {
				t.Errorf("%s links %s", visitor, dep)
			}
		}
	}
}

// layer returns the index of pkg's layer: one above all for what is outside, -1
// if it is nowhere.
func layer(pkg string) int {
	for i, packages := range layers {
		if slices.Contains(packages, pkg) {
			return i
		}
	}
	for _, dir := range outside {
		if pkg == dir || strings.HasPrefix(pkg, dir+"/") {
			return len(layers)
		}
	}
	return -1
}

// sources reads the module's Go files, whatever their build tags, except for
// tests: those may use what they like.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && foreign(file):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		s, err := read(file)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// foreign reports whether a directory is none of the module's: the go command
// wouldn't look into it, or it is a module of its own.
func foreign(dir string) bool {
	name := filepath.Base(dir)
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func read(file string) (source, error) {
	slashed := filepath.ToSlash(file)
	s := source{file: slashed, pkg: path.Dir(slashed)}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return s, err
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return s, err
		}
		s.imports = append(s.imports, imported)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			s.goes = true
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok {
				s.uses = append(s.uses, pkg.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return s, nil
}
