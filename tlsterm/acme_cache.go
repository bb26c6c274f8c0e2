package tlsterm

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"tokenring/statefile"
)

const cacheTimeout = 5 * time.Second // of one access

// A keyCache stores autocert's keys and certificates in a directory, in files that
// survive a crash. It bounds the time of each access, since autocert holds locks during
// it and a disk may hang.
type keyCache struct {
	dir autocert.DirCache

	mu sync.Mutex // of writing
}

func newKeyCache(dir string) *keyCache { return &keyCache{dir: autocert.DirCache(dir)} }

// Get implements autocert.Cache. A file that is too short for a key, for example after a
// crash, counts as missing: autocert would fail with it and order nothing.
func (c *keyCache) Get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	data, err := c.dir.Get(ctx, key)
	if err == nil && len(bytes.Trim(data, " \r\n\x00")) < statefile.MinSecret {
		return nil, autocert.ErrCacheMiss
	}
	return data, err
}

// Put implements autocert.Cache. If the disk hangs, the goroutine that writes stays
// until the disk works again, and later writes wait for it.
func (c *keyCache) Put(ctx context.Context, key string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	written := make(chan error, 1)
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		written <- statefile.Write(filepath.Join(string(c.dir), filepath.Clean("/"+key)), data)
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Delete implements autocert.Cache.
func (c *keyCache) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	return c.dir.Delete(ctx, key)
}
