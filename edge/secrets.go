package edge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rs/zerolog"

	"tokenring/admin"
	"tokenring/config"
	"tokenring/filewatch"
	"tokenring/gossip"
	"tokenring/proxy/pools"
	"tokenring/statefile"
)

// digestKey returns the key of the digests of tokens. Balancers that started with the same
// secret of the peers have the same. If the peers have two secrets, the first one counts. If
// the secret changes, the key changes at the next restart, but not in another generation:
// see Handed. A balancer without peers has its own secret in its state directory, so a token has
// the same digest after a restart.
func digestKey(cfg *config.Config) ([]byte, error) {
	var secret []byte
	var err error
	if cfg.Peers.SecretFile != "" {
		var all [][]byte
		if all, err = gossip.ReadSecrets(cfg.Peers.SecretFile); err == nil {
			secret = all[0]
		}
	} else {
		var text string
		text, err = ownSecret(cfg.DigestKeyFile())
		secret = []byte(text)
	}
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(append([]byte("tokenring digests of tokens\x00"), secret...))
	return key[:], nil
}

// openAffinitySecrets returns the secrets from which the keys of affinity cookies are
// derived, and watches their files; none if there are no such cookies. If no file is
// configured, the first start makes a secret in the state directory.
func openAffinitySecrets(cfg *config.Config, log zerolog.Logger) (*filewatch.Watch[[][]byte], [][]byte, error) {
	cookie := cfg.Affinity.Cookie
	if cookie == nil {
		return filewatch.Open(func() ([][]byte, error) { return nil, nil })
	}
	if len(cookie.SecretFile) > 0 {
		return filewatch.Open(func() ([][]byte, error) { return readSecrets(cookie.SecretFile) }, cookie.SecretFile...)
	}
	file := cfg.AffinityKeyFile()
	log.Warn().Str("file", file).Msg("affinity.cookie.secret_file isn't set; the key is kept here, and no other balancer accepts these cookies: several balancers need the same key")
	if _, err := ownSecret(file); err != nil {
		return nil, nil, err
	}
	return filewatch.Open(func() ([][]byte, error) {
		text, err := statefile.ReadSecret(file)
		return [][]byte{bytes.TrimSpace(text)}, err
	}, file)
}

// affinitySecrets returns the secrets of a pool's cookies, and watches their files from now on.
func (e *Edge) affinitySecrets(pool string) ([][]byte, error) {
	watch, secrets, err := openAffinitySecrets(e.cfg.OfPool(pool), e.opt.Logger)
	if err != nil {
		return nil, err
	}
	e.affinity[pool] = watch
	return secrets, nil
}

// poolsOfProxy returns what the proxy has to know of the pools beside the main one.
func (e *Edge) poolsOfProxy() (all []pools.Config, err error) {
	for _, name := range e.cfg.PoolNames() {
		secrets, err := e.affinitySecrets(name)
		if err != nil {
			return nil, fmt.Errorf("pools.%s: %w", name, err)
		}
		client, err := e.hostTLS(name)
		if err != nil {
			return nil, err
		}
		p := e.cfg.Pools[name]
		all = append(all, pools.Config{
			Name: name, Key: p.Hash.Key, Affinity: p.Affinity.Cookie, Secrets: secrets, Timeouts: p.Timeouts,
			TLS: client, Upgrades: pools.NewUpgrades(p.Upgrades), SendProxy: p.SendProxy != "", Fields: p.Fields, Queue: p.Queue,
		})
	}
	return all, nil
}

// readSecrets returns all secrets in files, in their order.
func readSecrets(files []string) (all [][]byte, err error) {
	for _, file := range files {
		secrets, err := gossip.ReadSecrets(file)
		if err != nil {
			return nil, fmt.Errorf("affinity.cookie.secret_file: %w", err)
		}
		all = append(all, secrets...)
	}
	return all, nil
}

// openAdminToken returns the bearer token of the admin API, and watches its file. If no
// file is configured, the first start makes a token in the state directory.
func openAdminToken(cfg *config.Config, log zerolog.Logger) (*filewatch.Watch[string], string, error) {
	file := cfg.Admin.TokenFileIn(cfg.StateDir)
	if cfg.Admin.TokenFile == "" {
		log.Info().Str("file", file).Msg("admin.token_file isn't set; the admin token is kept here")
		if _, err := ownSecret(file); err != nil {
			return nil, "", err
		}
	}
	return watchTokenIn(file, tokenFile)
}

// openReadToken is openAdminToken for the token that may only read; "" if there is none.
func openReadToken(cfg *config.Config) (*filewatch.Watch[string], string, error) {
	if cfg.Admin.ReadTokenFile == "" {
		return filewatch.Open(func() (string, error) { return "", nil })
	}
	return watchTokenIn(cfg.Admin.ReadTokenFile, readTokenFile)
}

// watchTokenIn returns the token in the file of a setting, and watches the file.
func watchTokenIn(file, setting string) (*filewatch.Watch[string], string, error) {
	return filewatch.Open(func() (string, error) {
		data, err := statefile.ReadSecret(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", setting, err)
		}
		token := strings.TrimSpace(string(data))
		if err := admin.CheckToken(token); err != nil {
			return "", fmt.Errorf("%s: %s: %w", setting, file, err)
		}
		return token, nil
	}, file)
}

// ownSecret returns the secret in a file of the state directory. If there is no file, it
// makes a secret.
func ownSecret(file string) (string, error) {
	text, err := statefile.KeepSecret(file)
	var unread *fs.PathError
	switch {
	case errors.As(err, &unread): // the secret in the file may be valid
		return "", fmt.Errorf("state_dir: %w", err)
	case err != nil:
		return "", fmt.Errorf("state_dir: %w; remove the file, and lb makes a new secret", err)
	}
	return text, nil
}

// makeStateDir makes the state directory if there is none. Without it, a balancer would
// lose the operators' overrides at its next start.
func makeStateDir(dir string) error {
	if err := statefile.MakeDir(dir); err != nil {
		return fmt.Errorf("state_dir: %w; name a directory that this user can make, or make the directory for this user: install -d -m 700 -o USER %s", err, dir)
	}
	return nil
}
