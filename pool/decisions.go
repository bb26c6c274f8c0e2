package pool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Decision is what an operator wants of one host.
type Decision struct {
	Host   string    `json:"host"`
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"` // at most 200 bytes of UTF-8
	By     string    `json:"by,omitempty"`     // at most 64 bytes of UTF-8
	At     time.Time `json:"at"`               // set by Decide
	Origin string    `json:"origin"`           // the balancer that was told; set by Decide
}

// Bounds of a decision. One fits into a gossip packet, all fit into a state
// exchange.
const (
	maxReason    = 200
	maxBy        = 64
	maxDecisions = 8192
)

// The bounds of Decision.At: inside, it survives JSON and arithmetic.
var (
	minAt = time.Unix(0, 0)
	maxAt = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// check says what is wrong with d.
func (d Decision) check() error {
	if err := CheckName(d.Host); err != nil {
		return err
	}
	if err := CheckName(d.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if d.At.Before(minAt) || d.At.After(maxAt) {
		return fmt.Errorf("a decision of %s", d.At)
	}
	return d.checkWords()
}

// checkWords says what is wrong with what the operator wrote.
func (d Decision) checkWords() error {
	if !d.State.Valid() {
		return fmt.Errorf("there is no state %.20q: ready, drain, maint", string(d.State))
	}
	if len(d.Reason) > maxReason {
		return fmt.Errorf("the reason has %d bytes, at most %d are possible", len(d.Reason), maxReason)
	}
	for _, text := range []string{d.Reason, d.By} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("the reason and the operator's name must be UTF-8 without control characters")
		}
	}
	if len(d.By) > maxBy {
		return fmt.Errorf("the operator's name has %d bytes, at most %d are possible", len(d.By), maxBy)
	}
	return nil
}

// compare orders decisions about one host: the later wins, and of two at the
// same instant the greater by the other fields, so that every balancer prefers
// the same one.
func (d Decision) compare(e Decision) int {
	return cmp.Or(
		d.At.Compare(e.At),
		cmp.Compare(d.Origin, e.Origin),
		cmp.Compare(d.State, e.State),
		cmp.Compare(d.Reason, e.Reason),
		cmp.Compare(d.By, e.By),
	)
}

// registers hold the last decision about each host: last-writer-wins registers,
// whose merge is commutative, associative and idempotent.
type registers map[string]Decision

// merge takes d into account and reports whether that changed anything. It
// ignores what doesn't pass check.
func (r registers) merge(d Decision) bool {
	if d.check() != nil {
		return false
	}
	d.At = d.At.UTC().Round(0)
	known, ok := r[d.Host]
	if ok && d.compare(known) <= 0 {
		return false
	}
	r[d.Host] = d
	return true
}

// prune drops the oldest decisions about unknown hosts until no more than limit
// decisions remain, and reports whether it dropped any.
func (r registers) prune(limit int, known func(host string) bool) bool {
	excess := len(r) - limit
	if excess <= 0 {
		return false
	}
	var strangers []Decision
	for _, d := range r {
		if !known(d.Host) {
			strangers = append(strangers, d)
		}
	}
	slices.SortFunc(strangers, Decision.compare)
	strangers = strangers[:min(excess, len(strangers))]
	for _, d := range strangers {
		delete(r, d.Host)
	}
	return len(strangers) > 0
}

// next returns the time for a new decision: now, but later than any that is
// known, so that an operator's word counts whatever the clocks say.
func (r registers) next(now time.Time) time.Time {
	now = now.UTC().Round(0)
	for _, d := range r {
		if !d.At.Before(now) {
			now = d.At.Add(time.Nanosecond)
		}
	}
	return now
}

// list returns the decisions, sorted by host.
func (r registers) list() []Decision {
	all := make([]Decision, 0, len(r))
	for _, d := range r {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Decision) int { return cmp.Compare(a.Host, b.Host) })
	return all
}

// decisionsFile is the JSON form on disk and in a state exchange.
type decisionsFile struct {
	Version   int        `json:"version"`
	Decisions []Decision `json:"decisions"`
}

const decisionsVersion = 1

// encodeDecisions writes decisions without escaping for HTML, which would make
// one of them too long for a gossip packet.
func encodeDecisions(all []Decision) ([]byte, error) {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(decisionsFile{decisionsVersion, all})
	return b.Bytes(), err
}

// decodeDecisions reads what encodeDecisions wrote. The decisions are as they
// came: the caller checks them.
func decodeDecisions(b []byte) ([]Decision, error) {
	var f decisionsFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	if f.Version != decisionsVersion {
		return nil, fmt.Errorf("decisions of version %d, this software knows %d", f.Version, decisionsVersion)
	}
	return f.Decisions, nil
}

const decisionsName = "decisions.json"

// errCorrupt is in the error of loadDecisions when the file was there but not
// to be believed, and has been put aside.
var errCorrupt = errors.New("corrupt, put aside")

// loadDecisions reads the decisions in dir. No file means no decisions. A
// corrupt file is renamed to decisions.json.corrupt, for an operator to look at,
// and the error wraps errCorrupt: the caller may go on without.
func loadDecisions(dir string) (registers, error) {
	path := filepath.Join(dir, decisionsName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return registers{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	r, err := parseFile(b)
	if err != nil {
		if renameErr := os.Rename(path, path+".corrupt"); renameErr != nil {
			return nil, fmt.Errorf("put corrupt decisions aside: %w", renameErr)
		}
		return registers{}, fmt.Errorf("decisions in %s: %w as %s.corrupt: %w", path, errCorrupt, decisionsName, err)
	}
	return r, nil
}

// parseFile returns the decisions in a file. One that doesn't pass check is an
// error: a file isn't to be believed in parts.
func parseFile(b []byte) (registers, error) {
	all, err := decodeDecisions(b)
	if err != nil {
		return nil, err
	}
	r := registers{}
	for _, d := range all {
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("host %.80q: %w", d.Host, err)
		}
		r.merge(d)
	}
	return r, nil
}

// save writes r to dir, which must exist: at any moment, and after a power cut,
// the file holds either what it held before or all of r.
func (r registers) save(dir string) error {
	b, err := encodeDecisions(r.list())
	if err != nil {
		return err
	}
	path := filepath.Join(dir, decisionsName)
	if err := writeSynced(path+".new", b); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
