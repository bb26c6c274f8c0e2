package statefile

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// MinSecret is the least size of a secret in bytes, white space around it not
// counted. A random text of that length has 96 bits even if each of its
// characters carries six.
const MinSecret = 16

// maxSecretFile bounds, in bytes, what is read of a secret's file.
const maxSecretFile = 4096

// ReadSecret returns what the file at path holds, with the white space around it.
// It refuses what can't be a secret: a file with less than MinSecret bytes or
// more than 4096, and one that holds zero bytes only, as a crash may leave it.
// Errors name the file, and never show what is in it.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(data)
	switch n := len(text); {
	case n == 0:
		return nil, fmt.Errorf("%s is empty, and a secret has at least %d bytes", path, MinSecret)
	case n < MinSecret:
		return nil, fmt.Errorf("%s holds %d bytes, and a secret has at least %d", path, n, MinSecret)
	case len(data) > maxSecretFile:
		return nil, fmt.Errorf("%s holds more than %d bytes, which is no secret", path, maxSecretFile)
	case len(bytes.Trim(text, "\x00")) == 0:
		return nil, fmt.Errorf("%s holds zero bytes only, which is no secret", path)
	}
	return data, nil
}

// KeepSecret returns the text in the file at path, without the white space
// around it. If there is no file, it makes one with 256 random bits; the
// directory must exist. A file that can't be a secret is an error and stays as
// it is.
func KeepSecret(path string) (string, error) {
	data, err := ReadSecret(path)
	switch {
	case err == nil:
		return strings.TrimSpace(string(data)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	text := NewSecret()
	return text, Write(path, []byte(text+"\n"))
}

// NewSecret returns 256 random bits as text.
func NewSecret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Exposed reports whether everybody on this machine may read or change the file at
// path or, if it is a directory, put files there; it goes by the mode alone. A group
// may: a service often has its secrets through one.
func Exposed(path string) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	mode := info.Mode().Perm()
	if info.IsDir() {
		return mode, mode&0o002 != 0
	}
	return mode, mode&0o007 != 0
}
