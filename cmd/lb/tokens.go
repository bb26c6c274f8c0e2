package main

import (
	"bufio"
	"fmt"
	"io"
)

// eachToken calls do for each token. If tokens is empty, it reads the tokens from in, one
// per line.
func eachToken(tokens []string, in io.Reader, do func(token string) error) error {
	if len(tokens) > 0 {
		for _, token := range tokens {
			if err := do(token); err != nil {
				return err
			}
		}
		return nil
	}
	const longest = 64 << 10 // the longest line; no token is longer
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		if err := do(lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return usageError{fmt.Errorf("standard input: %w", err)}
	}
	return nil
}
