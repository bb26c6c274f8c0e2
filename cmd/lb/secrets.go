package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/config"
	"tokenring/pool"
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
		text, err = keptSecret(filepath.Join(cfg.StateDir, "digest.key"))
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
		file := filepath.Join(cfg.StateDir, "affinity.key")
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
	file := adminTokenFile(cfg)
	if cfg.Admin.TokenFile == "" {
		log.Info().Str("file", file).Msg("admin.token_file isn't set; the admin token is kept here")
		return keptSecret(file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("admin.token_file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("admin.token_file: %s is empty", file)
	}
	if len(token) < shortToken {
		log.Warn().Str("file", file).Int("want_characters", shortToken).Msg("the admin token is short enough to be guessed")
	}
	return token, nil
}

// adminTokenFile returns where the bearer token is, or will be.
func adminTokenFile(cfg *config.Config) string {
	if cfg.Admin.TokenFile != "" {
		return cfg.Admin.TokenFile
	}
	return filepath.Join(cfg.StateDir, "admin.token")
}

// shortToken is the length, in characters, below which a random token has less
// than 96 bits even if every character carries six.
const shortToken = 16

// keptSecret returns the text in file, which is made, readable to us alone, if
// it doesn't exist.
func keptSecret(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var random [32]byte
		_, _ = rand.Read(random[:]) // never fails
		data = []byte(base64.RawURLEncoding.EncodeToString(random[:]) + "\n")
		if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
			err = os.WriteFile(file, data, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("state_dir: %w; name a directory that this user can write to", err)
		}
	}
	if err != nil {
		return "", fmt.Errorf("state_dir: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
