package edge

import (
	"context"
	"fmt"

	"tokenring/filewatch"
	"tokenring/hosttls"
)

// hostFiles are the files of a pool's section tls, and who uses what they hold.
type hostFiles struct {
	client *hosttls.Client
	watch  *filewatch.Watch[hosttls.Material]
}

// hostTLS returns the client for the TLS of a pool's hosts: the same for checks and for requests. It
// returns nil if the hosts speak no TLS. "" is the main pool. It must be called before Run.
func (e *Edge) hostTLS(pool string) (*hosttls.Client, error) {
	cfg, setting := e.cfg.OfPool(pool).Pool.TLS, "pool.tls"
	if pool != "" {
		setting = "pools." + pool + ".tls"
	}
	if cfg == nil {
		return nil, nil
	}
	if files, open := e.hostFiles[setting]; open {
		return files.client, nil
	}
	watch, m, err := filewatch.Open(cfg.Read, cfg.Files()...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	client := hosttls.New(*cfg, m)
	if e.hostFiles == nil {
		e.hostFiles = map[string]hostFiles{}
	}
	e.hostFiles[setting] = hostFiles{client, watch}
	return client, nil
}

// watchHostFiles puts what new files of a pool's section tls hold in force, until ctx ends.
func (e *Edge) watchHostFiles(setting string) func(context.Context) error {
	return func(ctx context.Context) error {
		files := e.hostFiles[setting]
		files.watch.Follow(ctx, func(c filewatch.Change[hosttls.Material]) {
			if c.Err == nil {
				files.client.Use(c.Value)
			}
			e.logChange(setting, c.Err)
		})
		return nil
	}
}
