package dnswire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Name is a domain name as it is sent, labels with their lengths and the root's at the end, in
// lower case. Names are compared and looked up without regard to case (RFC 4343), so equal names
// are equal Names. The zero Name is none; Root is ".".
type Name string

// Root is the name of the root.
const Root Name = "\x00"

// ParseName reads a name as people write it, such as www.example.com or www.example.com.; both
// are absolute. \. and \DDD are as RFC 1035 §5.1 has them.
func ParseName(text string) (Name, error) {
	if text == "." {
		return Root, nil
	}
	if text == "" {
		return "", errors.New("the name is empty")
	}
	rest := text
	var name, label []byte
	for rest != "" {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '.':
			if len(label) == 0 {
				return "", fmt.Errorf("%q has an empty label", text)
			}
			name = append(append(name, byte(len(label))), label...)
			label = label[:0]
			continue
		case '\\':
			var err error
			if c, rest, err = unescape(rest); err != nil {
				return "", fmt.Errorf("%q %w", text, err)
			}
		}
		if label = append(label, lower(c)); len(label) > maxLabel {
			return "", fmt.Errorf("a label of %q has more than %d bytes", text, maxLabel)
		}
	}
	if len(label) > 0 {
		name = append(append(name, byte(len(label))), label...)
	}
	if name = append(name, 0); len(name) > maxName {
		return "", fmt.Errorf("%q is too long: a name has at most %d bytes", text, maxName)
	}
	return Name(name), nil
}

// unescape reads what follows a backslash.
func unescape(rest string) (c byte, after string, err error) {
	if rest == "" {
		return 0, "", errors.New("ends with a backslash")
	}
	if rest[0] < '0' || rest[0] > '9' {
		return rest[0], rest[1:], nil
	}
	if len(rest) < 3 {
		return 0, "", errors.New("has a backslash with fewer than three digits")
	}
	n, err := strconv.ParseUint(rest[:3], 10, 8)
	if err != nil {
		return 0, "", errors.New("has a backslash before a number above 255")
	}
	return byte(n), rest[3:], nil
}

// String returns n as people write it, with a dot at the end.
func (n Name) String() string {
	if n == Root || n == "" {
		return "."
	}
	var text strings.Builder
	for rest := string(n); len(rest) > 1; {
		size := int(rest[0])
		for _, c := range []byte(rest[1 : 1+size]) {
			switch {
			case c == '.' || c == '\\':
				text.WriteByte('\\')
				text.WriteByte(c)
			case c <= ' ' || c > '~' || c == '"':
				fmt.Fprintf(&text, `\%03d`, c)
			default:
				text.WriteByte(c)
			}
		}
		text.WriteByte('.')
		rest = rest[1+size:]
	}
	return text.String()
}

// IsIn reports whether n is zone or a name below it.
func (n Name) IsIn(zone Name) bool {
	for rest := n; ; {
		if rest == zone {
			return true
		}
		if len(rest) <= len(zone) || rest == "" {
			return false
		}
		rest = rest.Parent()
	}
}

// Parent returns n without its first label; Root for Root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return Root
	}
	return n[1+int(n[0]):]
}

// Under returns the name of label or labels below n: label is as people write it, without a dot at
// the end, and "@" is n.
func (n Name) Under(label string) (Name, error) {
	if label == "@" {
		return n, nil
	}
	if strings.HasSuffix(label, ".") && !strings.HasSuffix(label, `\.`) {
		return "", fmt.Errorf("%q ends with a dot; names are relative to the zone", label)
	}
	name, err := ParseName(label)
	if err != nil {
		return "", err
	}
	if name = name[:len(name)-1] + n; len(name) > maxName {
		return "", fmt.Errorf("%q is too long: with its zone a name has at most %d bytes", label, maxName)
	}
	return name, nil
}

// lower folds a letter of ASCII.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
