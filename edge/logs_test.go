package edge

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/config"
)

func TestLogsGoWhereTheConfigurationSays(t *testing.T) {
	dir := t.TempDir()
	file, other, away := filepath.Join(dir, "all.log"), filepath.Join(dir, "access.log"), "syslog:"+filepath.Join(dir, "nobody")
	for _, row := range []struct {
		what           string
		cfg            config.LogConfig
		access, events string // where they come to
	}{
		{"nothing said", config.LogConfig{}, "out", "err"},
		{"one for both", config.LogConfig{Output: "stdout"}, "out", "out"},
		{"a file for both", config.LogConfig{Output: file}, file, file},
		{"each its own", config.LogConfig{Output: file, AccessOutput: other}, other, file},
		{"the access log alone", config.LogConfig{AccessOutput: other}, other, "err"},
		{"a receiver that isn't there", config.LogConfig{Output: away, AccessOutput: "stdout"}, "out", "err"},
	} {
		var out, errOut bytes.Buffer
		_, _ = os.Remove(file), os.Remove(other)
		row.cfg.Level = "info"
		logs, err := OpenLogs(row.cfg, &out, &errOut)
		if err != nil {
			t.Fatalf("%s: %v", row.what, err)
		}
		_, _ = logs.Access.Write([]byte("a line of the access log\n"))
		log := NewLogger(row.cfg, logs.Events)
		log.Info().Msg("an event")
		logs.Close()
		texts := map[string]string{"out": out.String(), "err": errOut.String()}
		for _, f := range []string{file, other} {
			text, _ := os.ReadFile(f)
			texts[f] = string(text)
		}
		for where, text := range texts {
			if got := strings.Contains(text, "a line of the access log"); got != (where == row.access) {
				t.Errorf("%s: the access log is in %s: %v", row.what, where, got)
			}
			if got := strings.Contains(text, "an event"); got != (where == row.events) {
				t.Errorf("%s: the event is in %s: %v", row.what, where, got)
			}
		}
	}
	if _, err := OpenLogs(config.LogConfig{Output: filepath.Join(dir, "no", "dir.log")}, nil, nil); err == nil {
		t.Error("a file that can't be made is accepted")
	}
}

// TestLinesLikeHAProxysGoEverywhereAsTheyAre: nothing wraps them, and events stay JSON beside them.
func TestLinesLikeHAProxysGoEverywhereAsTheyAre(t *testing.T) {
	const line = `10.0.1.2:33317 [06/Feb/2009:12:14:14.655] :443~ pool/ide-1 0/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"`
	file, socket := filepath.Join(t.TempDir(), "lb.log"), filepath.Join(t.TempDir(), "log")
	receiver, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	var out bytes.Buffer
	for _, to := range []string{"stdout", file, "syslog:" + socket} {
		cfg := config.LogConfig{Level: "info", Format: config.LogFormatHAProxy, Access: true, Output: to}
		logs, err := OpenLogs(cfg, &out, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		access, flush := newAccessLog(cfg, logs.Access, prometheus.NewRegistry())
		_, _ = access.haproxy.Write([]byte(line + "\n"))
		flush()
		event := NewLogger(cfg, logs.Events)
		event.Info().Msg("an event")
		logs.Close()
		if access.json != nil {
			t.Errorf("%s: there are lines of JSON, too", to)
		}
	}
	written, _ := os.ReadFile(file)
	for where, got := range map[string]string{"stdout": out.String(), file: string(written)} {
		first, second, _ := strings.Cut(got, "\n")
		if first != line || !strings.HasPrefix(second, `{"level":"info"`) {
			t.Errorf("%s has %q", where, got)
		}
	}
	buffer := make([]byte, 4096)
	_ = receiver.SetReadDeadline(time.Now().Add(time.Minute))
	n, _, err := receiver.ReadFrom(buffer)
	if got := string(buffer[:n]); err != nil || !strings.HasPrefix(got, "<30>1 ") || !strings.HasSuffix(got, " - - "+line) {
		t.Errorf("syslog has %q, %v", got, err)
	}
}
