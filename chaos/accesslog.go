package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// An access is a line of a balancer's access log.
type access struct {
	Key, Method, Path, Host, Why, Reason, End string
	Generation, Status                        int
	Took                                      float64 `json:"took_ms"`
	Time                                      time.Time
}

// logged returns what the balancers' access logs have of a token.
func (r *result) logged(token string) (lines []line) {
	key := r.keys[token]
	if key == "" {
		return nil
	}
	logs, _ := filepath.Glob(filepath.Join(r.dir, "lb-*.log")) // the pattern is a good one
	for _, file := range logs {
		lines = append(lines, accesses(file, key)...)
	}
	return lines
}

// blame writes into the failures of users for which host their balancers had chosen, as far as
// these have logged it.
func (r *result) blame() {
	failures := map[string][]*oracle.Event{} // by the key in the logs
	for i, e := range r.events {
		if key := r.keys[e.Token]; e.What == oracle.Failed && e.Host == "" && key != "" {
			failures[key] = append(failures[key], &r.events[i])
		}
	}
	logs, _ := filepath.Glob(filepath.Join(r.dir, "lb-*.log")) // the pattern is a good one
	for _, file := range logs {
		name := nameOf(file)
		eachAccess(file, `"status":50`, func(at time.Duration, a access) {
			for _, e := range failures[a.Key] {
				if e.Balancer == name && e.Began <= at && at <= e.At+late {
					e.Host = a.Host
				}
			}
		})
	}
}

// late is how long after an answer its line may be written.
const late = 100 * time.Millisecond

// accesses returns the lines of one log about a key.
func accesses(file, key string) (lines []line) {
	name := nameOf(file)
	eachAccess(file, key, func(at time.Duration, a access) {
		if a.Key != key {
			return
		}
		text := fmt.Sprintf("%s   %s → %s, why %s, status %d, took %v, end %s %s", name, a.Path, a.Host, a.Why, a.Status,
			time.Duration(a.Took*float64(time.Millisecond)).Round(time.Millisecond), a.End, a.Reason)
		lines = append(lines, line{at, text})
	})
	return lines
}

// nameOf returns the balancer of a log.
func nameOf(file string) string { return strings.TrimSuffix(filepath.Base(file), ".log") }

// eachAccess calls do with each line of one log that has a text in it, and with its time. What can't
// be read is left out: this is for people who look for a cause.
func eachAccess(file, with string, do func(at time.Duration, a access)) {
	log, err := os.Open(file)
	if err != nil {
		return
	}
	defer log.Close()
	toClock := record.Now() - time.Duration(time.Now().UnixNano())
	for scan := bufio.NewScanner(log); scan.Scan(); {
		var a access
		if strings.Contains(scan.Text(), with) && json.Unmarshal(scan.Bytes(), &a) == nil && a.Key != "" {
			do(time.Duration(a.Time.UnixNano())+toClock, a)
		}
	}
}
