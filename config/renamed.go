package config

import (
	"fmt"
	"reflect"
	"strings"
)

// renamed has the former paths of keys, and where they are now. A file that uses a former
// path works, with a warning.
var renamed = map[string]string{
	"timeouts.shutdown": "shutdown.grace",
}

// decodeRenamed decodes the values that the file has under former paths. root is the
// Config, into which the rest of the file is decoded already.
func (d *document) decodeRenamed(root reflect.Value) {
	for old, node := range d.old {
		home := renamed[old]
		if d.has(home) {
			d.fail(old, fmt.Sprintf("this key is now `%s`, and the file has both", home), "remove this one")
			continue
		}
		v := root
		for key := range strings.SplitSeq(home, ".") {
			field, _ := fieldOf(v.Type(), key)
			v = v.FieldByIndex(field)
		}
		d.decode(home, node, v)
		d.warn(old, fmt.Sprintf("this key is now `%s`; it still works here", home), "move the value there")
	}
}
