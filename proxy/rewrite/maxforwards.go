package rewrite

import (
	"strconv"

	"tokenring/http1"
)

// CountDown decrements the field Max-Forwards of an OPTIONS or TRACE request (RFC 9110
// §7.6.2). If last is true, the field is 0: the balancer must answer the request itself.
func CountDown(r *http1.Request) (last bool) {
	if method := string(r.Method); method != "TRACE" && method != "OPTIONS" {
		return false
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind != http1.KindMaxForwards {
			continue
		}
		left, err := strconv.ParseUint(string(f.Value), 10, 31)
		switch {
		case err != nil: // not a number, so it is ignored
		case left == 0:
			return true
		default:
			f.Value = strconv.AppendUint(nil, left-1, 10)
		}
	}
	return false
}
