package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/config"
	"tokenring/pool"
	"tokenring/statefile"
)

// newDigester returns what stands for tokens in the log. Balancers that share a
// peers' secret give a token the same digest; one without peers keeps its
// secret in its state directory, so that digests stay comparable.
func newDigester(cfg *config.Config) (balancer.Digester, error) {
	var secret []byte
	var err error
	if cfg.Peers.SecretFile != "" {
		secret, err = pool.ReadSecret(cfg.Peers.SecretFile)
	} else {
		var text string
		text, err = keptSecret(cfg.DigestKeyFile())
		secret = []byte(text)
	}
	if err != nil {
		return balancer.Digester{}, err
	}
	key := sha256.Sum256(append([]byte("tokenring digests of tokens\x00"), secret...))
	return balancer.NewDigester(key[:]), nil
}

// affinitySecrets returns what the keys of affinity cookies are made from, nil
// without such cookies. Without a configured file, one is made at the first start
// and kept in the state directory.
func affinitySecrets(cfg *config.Config, log zerolog.Logger) ([][]byte, error) {
	cookie := cfg.Affinity.Cookie
	if cookie == nil {
		return nil, nil
	}
	if len(cookie.SecretFile) == 0 {
		file := cfg.AffinityKeyFile()
		log.Warn().Str("file", file).Msg("affinity.cookie.secret_file isn't set; the key is kept here, and no other balancer believes these cookies: several balancers need one key that they share")
		text, err := keptSecret(file)
		return [][]byte{[]byte(text)}, err
	}
	var secrets [][]byte
	for _, file := range cookie.SecretFile {
		secret, err := pool.ReadSecret(file)
		if err != nil {
			return nil, fmt.Errorf("affinity.cookie.secret_file: %w", err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// adminToken reads the bearer token. Without a configured file, it is made at
// the first start and kept in the state directory.
func adminToken(cfg *config.Config, log zerolog.Logger) (string, error) {
	file := cfg.Admin.TokenFileIn(cfg.StateDir)
	if cfg.Admin.TokenFile == "" {
		log.Info().Str("file", file).Msg("admin.token_file isn't set; the admin token is kept here")
		return keptSecret(file)
	}
	data, err := statefile.ReadSecret(file)
	if err != nil {
		return "", fmt.Errorf("admin.token_file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// keptSecret returns the text in file, which is made if it doesn't exist.
func keptSecret(file string) (string, error) {
	text, err := statefile.KeepSecret(file)
	var unread *fs.PathError
	switch {
	case errors.As(err, &unread): // what the file holds may be right
		return "", fmt.Errorf("state_dir: %w", err)
	case err != nil:
		return "", fmt.Errorf("state_dir: %w; remove the file, and a new secret is made", err)
	}
	return text, nil
}

// makeStateDir makes sure that what operators decide can be kept. A balancer
// without such a directory would forget it with its next start.
func makeStateDir(dir string) error {
	if err := statefile.MakeDir(dir); err != nil {
		return fmt.Errorf("state_dir: %w; name a directory that this user can make, or make it for this user: install -d -m 700 -o USER %s", err, dir)
	}
	return nil
}
