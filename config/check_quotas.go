package config

import (
	"fmt"
	"time"

	"tokenring/proxy/quota"
)

// checkQuotas reports what can't limit a source or a key.
func (c *Config) checkQuotas(d *document) {
	const source, key = "limits.per_source", "limits.per_key"
	if of := c.Limits.PerSource; of != nil {
		d.checkCount(source+".connections", of.Connections)
		d.checkRate(source+".new_connections", of.NewConnections)
		d.checkRate(source+".requests", of.Requests)
		d.checkCount(source+".terminals", of.Terminals)
		d.checkBurst(source, of.Burst, of.NewConnections+of.Requests)
		if *of == (quota.SourceConfig{}) && !d.failedBelow(source) {
			d.fail(source, "it limits nothing", "write for example {requests: 200/s, terminals: 20}, or remove it")
		}
	}
	if of := c.Limits.PerKey; of != nil {
		d.checkRate(key+".requests", of.Requests)
		d.checkCount(key+".terminals", of.Terminals)
		d.checkBurst(key, of.Burst, of.Requests)
		if *of == (quota.KeyConfig{}) && !d.failedBelow(key) {
			d.fail(key, "it limits nothing", "write for example {requests: 100/s, terminals: 10}, or remove it")
		}
	}
}

func (d *document) checkCount(path string, n int) {
	if n < 0 {
		d.fail(path, fmt.Sprintf("%d is out of bounds", n), "use a number from 1, or leave it out for no limit")
	}
}

func (d *document) checkRate(path, text string) {
	if _, err := quota.ParseRate(text); err != nil {
		d.fail(path, err.Error(), "write it like 50/s, 300/m or 1000/h")
	}
}

// checkBurst reports a burst that is too long, or without rates.
func (d *document) checkBurst(path string, burst time.Duration, rates string) {
	const longest = time.Hour
	switch path += ".burst"; {
	case burst > longest:
		d.fail(path, fmt.Sprintf("%s is out of bounds", burst), "use a duration of up to 1h")
	case burst > 0 && rates == "":
		d.fail(path, "there is no rate here that it could belong to", "add for example requests: 100/s, or leave it out")
	}
}
