package systemd

import "time"

// Hurry has n wait so long for room each time, and until it tries again.
func (n *Notifier) Hurry(wait time.Duration) { n.sendTimeout, n.retryInterval = wait, wait }
