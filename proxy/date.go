package proxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// A dateText is a second as the field Date says it.
type dateText struct {
	second int64
	text   []byte
}

// lastDate is the second that was written last: nearly always it is still the one
// that is wanted.
var lastDate atomic.Pointer[dateText]

// appendDate appends the field Date unless fields have it: an answer without one
// gets it from who passes it on (RFC 9110 §6.6.1).
func appendDate(dst []byte, fields []http1.Field) []byte {
	for i := range fields {
		if fields[i].Kind == http1.KindDate {
			return dst
		}
	}
	now, d := time.Now(), lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateText{now.Unix(), []byte(now.UTC().Format(http.TimeFormat))}
		lastDate.Store(d)
	}
	return http1.AppendField(dst, dateName, d.text)
}

var dateName = []byte("Date")
