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

// MinSecret is the least size of a secret in bytes, without the white space around it.
// A random text of that length has 96 bits if each character has six.
const MinSecret = 16

// maxSecretFile is the largest size of a secret's file in bytes.
const maxSecretFile = 4096

// ReadSecret returns the content of the file at path, with the white space around it.
// It returns an error if the content can't be a secret: it has less than MinSecret bytes
// or more than 4096, or only zero bytes, which a crash may cause. Errors name the file
// and never show its content.
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
		return nil, fmt.Errorf("%s has more than %d bytes, and a secret has at most as many", path, maxSecretFile)
	case len(bytes.Trim(text, "\x00")) == 0:
		return nil, fmt.Errorf("%s has only zero bytes, so it isn't a secret", path)
	}
	return data, nil
}

// KeepSecret returns the secret in the file at path, without the white space around it.
// If there is no file, it makes one with 256 random bits; the directory must exist. If
// the file can't be a secret, it returns an error and doesn't change the file.
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

// Exposed returns the mode of the file at path. It reports whether the mode allows every
// user of the machine to read or change the file or, if it is a directory, to make files
// there. Permissions of the group don't count, since services often get their secrets
// through a group.
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
