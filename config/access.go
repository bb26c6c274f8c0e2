package config

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"tokenring/admin"
)

// Access is what lb.yaml says of the way to a balancer's admin endpoint.
type Access struct {
	Address   string // host:port that the balancer listens on
	TokenFile string // holds the token, or will
	Cert      string // PEM file of the endpoint's certificate; "" if it speaks no TLS
}

// LoadAccess reads the sections admin and state_dir of the file at path, and of
// those only what it returns: a balancer that runs can be reached whatever has
// become of the rest of its file, and of the files that it names. The error is an
// Errors if the file is no YAML or these values can't be read.
func LoadAccess(path string) (*Access, error) {
	data, err := readFile(path)
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
	access := &Access{Address: a.Address, TokenFile: a.TokenFileIn(state)}
	if a.TLS != nil {
		access.Cert = a.TLS.Cert
		d.resolve(&access.Cert)
	}
	return access, nil
}

// decodeKnown fills v, a struct, from the keys of root that it has, and passes over
// the others.
func (d *document) decodeKnown(root ast.Node, v reflect.Value) {
	if _, ok := root.(ast.MapNode); !ok {
		d.decode("", root, v) // says what is wrong with it
		return
	}
	for _, pair := range pairs(root) {
		key := pair.Key.GetToken().Value
		if i := slices.Index(keysOf(v.Type()), key); i >= 0 {
			d.keys[key] = where(pair.Key.GetToken())
			d.decode(key, pair.Value, v.Field(i))
		}
	}
}
