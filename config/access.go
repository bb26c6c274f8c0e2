package config

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"tokenring/admin"
)

// Access is how to reach a balancer's admin endpoint, as lb.yaml says.
type Access struct {
	Address   string // host:port that the balancer listens on
	TokenFile string // the file of the token; it may not exist yet
	Cert      string // PEM file of the endpoint's certificate; "" if it speaks no TLS

	ControlSocket string // of the parent of the balancer's processes
}

// LoadAccess reads admin and state_dir in the file at path, and only the values that it
// returns. So a running balancer can be reached even if the rest of its file, or a file
// that it names, has been broken since. The error is an Errors if the file isn't YAML or
// one of these values is wrong.
func LoadAccess(path string) (*Access, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	d := newDocument(path, data)
	var file struct {
		Admin    admin.Config `yaml:"admin"`
		StateDir string       `yaml:"state_dir"`
	}
	if root := d.parse(data); root != nil {
		d.decodeKnown(root, reflect.ValueOf(&file).Elem())
	}
	a := file.Admin.WithDefaults()
	d.checkListenAddress("admin.address", a.Address)
	needed := []string{"", "admin", "admin.address", "admin.token_file", "admin.tls", "admin.tls.cert", "state_dir"}
	d.found = slices.DeleteFunc(d.found, func(e Error) bool { return !slices.Contains(needed, e.Key) })
	if errs := d.errors(); len(errs) > 0 {
		return nil, errs
	}
	state := cmp.Or(file.StateDir, defaultStateDir)
	d.resolve(&state)
	d.resolve(&a.TokenFile)
	access := &Access{Address: a.Address, TokenFile: a.TokenFileIn(state), ControlSocket: controlSocketIn(state)}
	if a.TLS != nil {
		access.Cert = a.TLS.Cert
		d.resolve(&access.Cert)
	}
	return access, nil
}

// decodeKnown fills v, a struct, from root. It ignores keys that v doesn't have.
func (d *document) decodeKnown(root ast.Node, v reflect.Value) {
	if _, ok := root.(ast.MapNode); !ok {
		d.decode("", root, v) // reports the error
		return
	}
	for _, pair := range pairs(root) {
		key := pair.Key.GetToken().Value
		if field, known := fieldOf(v.Type(), key); known {
			d.keys[key] = where(pair.Key.GetToken())
			d.decode(key, pair.Value, v.FieldByIndex(field))
		}
	}
}
