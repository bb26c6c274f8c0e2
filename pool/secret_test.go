package pool

import (
	"os"
	"strings"
	"testing"

	"tokenring/gossip"
	"tokenring/pool/gossips"
)

func TestASecretFileThatCannotBeUsedIsAnAlarmUntilItCan(t *testing.T) {
	t.Parallel()
	poolKey, peersKey := secretFile(t, 1), secretFile(t, 2)
	at := func(file string) gossip.Config { return gossip.Config{Bind: "127.0.0.1:0", SecretFile: file} }
	p, _ := startPool(t, Config{Config: at(poolKey)}, at(peersKey), "lb-1")
	write := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alarmed := func(section, why string) {
		t.Helper()
		eventually(t, "there is an alarm about "+section, func() bool {
			alarm := p.Snapshot().Alarm
			return strings.Contains(alarm, section+".secret_file isn't used") && strings.Contains(alarm, why)
		})
	}
	line := func(b byte) string { return strings.Repeat(string("0123456789"[b])+"f", 32) + "\n" }

	write(poolKey, "a secret, but of another form\n")
	alarmed(gossips.HostsName, "needs 32 raw bytes")
	write(poolKey, line(3)+line(4))
	eventually(t, "the pool's secrets are others and the alarm is over", func() bool {
		use := p.SecretUse()
		return p.Snapshot().Alarm == "" && len(use) == 2 && use[0].Gossip == gossips.HostsName && len(use[0].Secrets) == 2 && use[0].Problem == ""
	})
	write(peersKey, line(4)) // hosts know it
	alarmed(gossips.PeersName, "is in "+poolKey+" too")
	if use := p.SecretUse()[1]; use.Gossip != gossips.PeersName || len(use.Secrets) != 1 || use.Problem == "" {
		t.Errorf("got %+v", use)
	}
	if strings.Contains(p.Snapshot().Alarm, "f4f4") {
		t.Error("the alarm shows a secret")
	}
}

func TestAPoolWithoutGossipHasNoSecret(t *testing.T) {
	p, _ := startPool(t, statics("a"), gossip.Config{}, "lb-1")
	if use := p.SecretUse(); len(use) != 0 {
		t.Errorf("got %+v", use)
	}
	var none *gossip.Gossip
	if none.SecretChanged() != nil || none.SecretProblem() != "" {
		t.Error("a nil Gossip has a problem")
	}
}
