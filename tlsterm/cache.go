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

const cacheTimeout = 5 * time.Second // for one access

// A keyCache keeps autocert's keys and certificates in a directory, in files that
// survive a crash. It bounds each access: autocert holds its locks meanwhile, and
// a disk may hang.
type keyCache struct {
	dir autocert.DirCache

	mu sync.Mutex // of writing
}

func newKeyCache(dir string) *keyCache { return &keyCache{dir: autocert.DirCache(dir)} }

// Get implements autocert.Cache. A file that is too short to hold a key, as a
// crash may leave it, counts as missing: autocert would refuse to order anything
// with it.
func (c *keyCache) Get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	data, err := c.dir.Get(ctx, key)
	if err == nil && len(bytes.Trim(data, " \r\n\x00")) < statefile.MinSecret {
		return nil, autocert.ErrCacheMiss
	}
	return data, err
}

// Put implements autocert.Cache. A disk that hangs keeps the goroutine that writes,
// and makes those that come after it wait.
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
