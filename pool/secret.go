package pool

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// secretSize is the size of a gossip key in bytes: AES-256.
const secretSize = 32

// maxSecretFile bounds what is read of a secret file.
const maxSecretFile = 4096

// ReadSecret reads a gossip key of 32 bytes from the file at path: raw, or as
// one word of hexadecimal digits or base64, with white space around it. The
// error names the file, never its contents.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if key := parseSecret(b); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("secret file %s: need %d raw bytes, or %d hexadecimal digits, or %d characters of base64 (openssl rand -base64 %d)",
		path, secretSize, hex.EncodedLen(secretSize), base64.StdEncoding.EncodedLen(secretSize), secretSize)
}

// parseSecret returns the key in b, nil if there is none.
func parseSecret(b []byte) []byte {
	if len(b) == secretSize {
		return b
	}
	text := strings.TrimSpace(string(b))
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.Strict().DecodeString,
		base64.RawStdEncoding.Strict().DecodeString,
		base64.URLEncoding.Strict().DecodeString,
		base64.RawURLEncoding.Strict().DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == secretSize {
			return key
		}
	}
	return nil
}
