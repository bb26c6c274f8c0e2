package pool

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"tokenring/statefile"
)

// secretSize is the size of a gossip key in bytes: AES-256.
const secretSize = 32

// remedySecret says how to make a gossip key.
const remedySecret = "make one with: head -c 32 /dev/urandom | base64"

// ReadSecret reads a gossip key of 32 bytes from the file at path: raw, or as
// one word of hexadecimal digits or base64, with white space around it. The
// error names the file, never its contents.
func ReadSecret(path string) ([]byte, error) {
	b, err := statefile.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w; %s", err, remedySecret)
	}
	if key := parseSecret(b); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("secret: %s needs %d raw bytes, or %d hexadecimal digits, or %d characters of base64; %s",
		path, secretSize, hex.EncodedLen(secretSize), base64.StdEncoding.EncodedLen(secretSize), remedySecret)
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
