package proxy

import (
	"strconv"

	"tokenring/http1"
)

// lastHop counts Max-Forwards down in a request that asks along its way, and answers
// one that is to go no further (RFC 9110 §7.6.2). It reports whether it has.
func (x *exchange) lastHop() bool {
	trace := string(x.req.Method) == "TRACE"
	if !trace && string(x.req.Method) != "OPTIONS" {
		return false
	}
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		if f.Kind != http1.KindMaxForwards {
			continue
		}
		left, err := strconv.ParseUint(string(f.Value), 10, 31)
		switch {
		case err != nil: // no number, so it says nothing
		case left == 0 && trace:
			x.fail(fault{status: 501, end: endDone, detail: "this server doesn't send requests back"})
			return true
		case left == 0:
			x.status, x.last = 200, x.last || hasBody(&x.req) // which hasn't been read
			_ = x.finish(x.answer(200, nil, ""))
			return true
		default:
			f.Value = strconv.AppendUint(nil, left-1, 10)
		}
	}
	return false
}
