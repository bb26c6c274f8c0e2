// Package hostkeys reads the file of the hosts' public keys, pool.hosts_keys, and watches it
// for changes.
package hostkeys

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tokenring/filewatch"
	"tokenring/route"
)

// maxFile bounds the file of keys in bytes.
const maxFile = 1 << 20

// A Watch reads the file again when it changes.
type Watch = filewatch.Watch[map[string]route.HostKey]

// Open reads the file at path, and returns its keys. "" stands for no file, whose keys
// are nil.
func Open(path string) (*Watch, map[string]route.HostKey, error) {
	if path == "" {
		return filewatch.Open(func() (map[string]route.HostKey, error) { return nil, nil })
	}
	return filewatch.Open(func() (map[string]route.HostKey, error) { return Read(path) }, path)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, nil
}

// Read reads a file of pool.hosts_keys: a line for each host, with its name and
// its key in base64. Empty lines, and what follows a "#", don't count. The keys are not nil
// if there is no error.
func Read(path string) (map[string]route.HostKey, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseKeys(path, text)
}

func parseKeys(path string, text []byte) (map[string]route.HostKey, error) {
	keys := map[string]route.HostKey{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := addKey(keys, words); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// addKey adds the key of a host. Errors don't show what might be a secret.
func addKey(keys map[string]route.HostKey, words []string) error {
	if len(words) != 2 {
		return errors.New("want the name of a host and its key, such as: ide-1 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	}
	if err := route.CheckHostName(words[0]); err != nil {
		return err
	}
	if _, twice := keys[words[0]]; twice {
		return fmt.Errorf("%s has a key already", words[0])
	}
	key, err := route.ParseHostKey(words[1])
	keys[words[0]] = key
	return err
}
