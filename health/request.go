package health

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"tokenring/lease"
)

// MaxFields bounds Config.Fields.
const MaxFields = 32

// ValidField returns an error if a field of that name and value can't be among Config.Fields.
func ValidField(name, value string) error {
	switch canonical := http.CanonicalHeaderKey(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is no name of a field", name)
	case canonical == "Host":
		return errors.New("the Host field of checks is health.host")
	case canonical == lease.Field:
		return errors.New("this field is for the gates of hosts")
	case framing[canonical]:
		return fmt.Errorf("%s says how the request is sent, and a check has no body and ends its connection", canonical)
	case !httpguts.ValidHeaderFieldValue(value):
		return errors.New("the value has a control character")
	}
	return nil
}

// framing are the fields that say where a message ends, or what becomes of its connection.
var framing = map[string]bool{
	"Connection": true, "Content-Length": true, "Transfer-Encoding": true, "Upgrade": true, "Trailer": true, "Te": true,
	"Keep-Alive": true, "Proxy-Connection": true, "Expect": true,
}

// newRequest returns the request of a check. proof is for the host's gate; "" for none.
func (c *Config) newRequest(path, host, proof string) (*http.Request, error) {
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	header := http.Header{"User-Agent": {"tokenring-check"}}
	for name, value := range c.Fields {
		header.Set(name, strings.TrimSpace(value))
	}
	if proof != "" {
		header.Set(lease.Field, proof)
	}
	return &http.Request{Method: http.MethodGet, URL: target, Host: host, Header: header, Close: true}, nil
}
