package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(s *streams) error {
	fmt.Fprintln(s.out, versionLine())
	return nil
}

// The version and the commit of the release. The linker sets them
// (-X main.stamped=v1.2.3 -X main.stampedCommit=0123456789ab).
var stamped, stampedCommit string

// versionLine says what this program is and from what it was built.
func versionLine() string {
	from := commit()
	if from == "" {
		from = "unknown"
	}
	return fmt.Sprintf("lb %s (commit %s, %s, %s/%s)", version(), from, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns the version of the release, or the commit if it isn't a release.
func version() string {
	if stamped != "" {
		return stamped
	}
	if from := commit(); from != "" {
		return "devel-" + from
	}
	return "devel"
}

// commit returns the commit from which the program was built, shortened; "" if it is
// unknown. A program that was built from changed files says so.
func commit() string {
	if stampedCommit != "" {
		return stampedCommit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if len(revision) < 12 {
		return ""
	}
	if settings["vcs.modified"] == "true" {
		return revision[:12] + "-modified"
	}
	return revision[:12]
}
