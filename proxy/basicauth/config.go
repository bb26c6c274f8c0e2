// Package basicauth says whether a request shows the name and the password of a user (RFC 7617). The users
// are in a file of htpasswd, which is read again when it changes. Passwords are hashed by bcrypt.
package basicauth

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Config is `basic_auth` of a route.
type Config struct {
	File  string `yaml:"file"`  // of htpasswd -B; read again when it changes
	Realm string `yaml:"realm"` // what browsers name when they ask for the password; restricted
}

// challenge returns the value of WWW-Authenticate.
func (c *Config) challenge() string {
	return fmt.Sprintf(`Basic realm="%s", charset="UTF-8"`, cmp.Or(c.Realm, "restricted"))
}

const (
	maxFile = 1 << 20 // bytes
	// mostCost bounds how slow a hash is: each step doubles the time, and 14 takes about a second.
	mostCost = 14
)

// ReadFile returns the hashes in a file by the names of users. A line is name:hash; # begins a comment.
// The error names the line, and never shows a hash.
func ReadFile(path string) (map[string][]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are possible", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse is ReadFile for the text of a file.
func Parse(path string, text []byte) (map[string][]byte, error) {
	users := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, _ := strings.Cut(line, ":")
		if _, twice := users[name]; twice {
			return nil, fmt.Errorf("%s, line %d: the user is here twice", path, n)
		}
		if err := checkUser(name, hash); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		users[name] = []byte(hash)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return users, nil
}

func checkUser(name, hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case name == "":
		return errors.New("the name of the user is missing")
	case err != nil || len(hash) != 60:
		return errors.New("the password isn't hashed by bcrypt")
	case cost > mostCost:
		return fmt.Errorf("the password's hash has cost %d, at most %d is possible", cost, mostCost)
	}
	return nil
}
