package proxy

import (
	"bytes"

	"tokenring/balancer"
	"tokenring/http1"
)

// keyOf returns what the request is hashed by: the first of the configured
// sources that is present and not empty, or nil. It is a slice of the request's
// head, raw and never decoded (haproxy-compatible), and a secret.
func (x *exchange) keyOf() []byte {
	for _, rule := range x.srv.p.cfg.Key {
		if key := x.keyFrom(rule); len(key) > 0 {
			return key
		}
	}
	return nil
}

func (x *exchange) keyFrom(rule balancer.KeyRule) []byte {
	switch rule.Source {
	case balancer.KeyQuery:
		value, _ := balancer.QueryValue(x.req.Query, rule.Name)
		return value
	case balancer.KeyCookie:
		return cookie(x.req.Fields, rule.Name)
	case balancer.KeyHeader:
		return header(x.req.Fields, rule.Name)
	case balancer.KeyClient:
		return x.client.key
	}
	return nil
}

// header returns the value of the first field of that name.
func header(fields []http1.Field, name string) []byte {
	for i := range fields {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			return fields[i].Value
		}
	}
	return nil
}

// cookie returns the value of the first cookie of that name, as it stands
// between "=" and ";" (RFC 6265 §4.2.1).
func cookie(fields []http1.Field, name string) []byte {
	for i := range fields {
		if fields[i].Kind != http1.KindCookie {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			var n, value []byte
			if n, value, rest, more = cutCookie(rest); string(n) == name {
				return value
			}
		}
	}
	return nil
}
