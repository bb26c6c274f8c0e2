package fields

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Vars are the values of variables for one request. They may be slices of what the client has sent.
type Vars struct {
	Client       string // the address of the client
	ClientPort   uint16 // 0 if it isn't known
	Host         []byte // the name that the client has asked for, with its port if there is one
	RequestID    []byte
	TLSVersion   string // such as TLSv1.3; "" without TLS
	ListenerPort string

	CertificateSubject []byte // of the client, as package clientcert writes it; empty without a certificate
}

// A part of a template is a text, or a variable.
type part struct {
	text     string
	variable variable
}

type variable uint8

const (
	none variable = iota
	client
	clientPort
	host
	requestID
	tlsVersion
	listenerPort
	certificateSubject
)

var variables = map[string]variable{
	"client": client, "client_port": clientPort, "host": host, "request_id": requestID, "tls_version": tlsVersion, "listener_port": listenerPort,
	"client_certificate_subject": certificateSubject,
}

// Variables returns the variables that a value may have, as they are written.
func Variables() []string {
	return []string{"{client}", "{client_port}", "{host}", "{request_id}", "{tls_version}", "{listener_port}", "{client_certificate_subject}"}
}

var errControl = errors.New("a value can't have control characters, such as a line break")

// parse returns the parts of a value. {{ and }} stand for braces.
func parse(text string) (parts []part, err error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return nil, errControl
		}
	}
	if text != strings.TrimSpace(text) {
		return nil, errors.New("a value neither begins nor ends with a space")
	}
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			parts = append(parts, part{text: plain.String()})
			plain.Reset()
		}
	}
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			plain.WriteString(text)
			break
		}
		plain.WriteString(text[:i])
		brace := text[i]
		if text = text[i+1:]; text != "" && text[0] == brace {
			plain.WriteByte(brace)
			text = text[1:]
			continue
		}
		name, rest, closed := strings.Cut(text, "}")
		v := variables[name]
		switch {
		case brace == '}':
			return nil, errors.New("a } without a { before it")
		case !closed:
			return nil, errors.New("a { without a } after it")
		case v == none:
			return nil, fmt.Errorf("there is no variable {%s}", name)
		}
		flush()
		parts, text = append(parts, part{variable: v}), rest
	}
	flush()
	return parts, nil
}

// appendParts appends a value.
func appendParts(dst []byte, parts []part, v *Vars) []byte {
	for i := range parts {
		switch parts[i].variable {
		case client:
			dst = append(dst, v.Client...)
		case clientPort:
			dst = strconv.AppendUint(dst, uint64(v.ClientPort), 10)
		case host:
			dst = appendSafe(dst, v.Host)
		case requestID:
			dst = appendSafe(dst, v.RequestID)
		case tlsVersion:
			dst = append(dst, v.TLSVersion...)
		case listenerPort:
			dst = append(dst, v.ListenerPort...)
		case certificateSubject:
			dst = append(dst, v.CertificateSubject...) // printable ASCII
		default:
			dst = append(dst, parts[i].text...)
		}
	}
	return dst
}

// proves reports whether a value tells hosts whom a certificate has proved the client to be.
func proves(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.variable == certificateSubject })
}

// TLSVersion returns the name of a version of TLS, by the number in its hello (RFC 8446 §4.1.2); TLS if
// it isn't known, as that of a connection which an older process has accepted.
func TLSVersion(number uint16) string {
	switch number {
	case 0x0303:
		return "TLSv1.2"
	case 0x0304:
		return "TLSv1.3"
	}
	return "TLS"
}

// appendSafe appends what a client has sent, without bytes that a field's value can't have.
func appendSafe(dst, value []byte) []byte {
	for _, c := range value {
		if c >= ' ' && c != 0x7f {
			dst = append(dst, c)
		}
	}
	return dst
}
