package rewrite

import (
	"net/http"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// A dateText is the value of the field Date for one second.
type dateText struct {
	second int64
	text   []byte
}

// lastDate is the value that was written last. Nearly always it is still right.
var lastDate atomic.Pointer[dateText]

// appendDate appends the field Date, unless the answer's fields have it. An intermediary
// adds it to an answer without one (RFC 9110 §6.6.1).
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
