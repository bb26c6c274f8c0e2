package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// parsed returns the configuration with a text.
func parsed(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := Parse(t.TempDir()+"/lb.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDiffSaysWhatAnOperatorHasChanged(t *testing.T) {
	before := parsed(t, `
name: lb-1
listen: [{address: "127.0.0.1:80"}]
hash: {key: [{query: token}, source], seed: "the first secret text"}
pool: {hosts: [{name: ide-1, address: "10.0.0.1:4000"}, {name: ide-2, address: "10.0.0.2:4000"}]}
trusted_networks: [10.0.0.0/8]
`)
	after := parsed(t, `
name: lb-1
listen: [{address: "127.0.0.1:80", half_close: abort}, {address: "127.0.0.1:81"}]
hash: {key: [source, {query: token}], seed: "another secret text"}
pool: {hosts: [{name: ide-2, address: "10.0.0.2:4001"}, {name: ide-3, address: "10.0.0.3:4000", weight: 2}]}
timeouts: {tunnel: 2h}
health: {path: /up}
`)
	want := []string{
		"listen[127.0.0.1:80].half_close: nothing → abort",
		"listen: 127.0.0.1:81 added: {address: 127.0.0.1:81}",
		"hash.key: in another order: source, {query: token}",
		"hash.seed: changed",
		"pool.hosts: ide-1 removed",
		"pool.hosts[ide-2].address: 10.0.0.2:4000 → 10.0.0.2:4001",
		"pool.hosts: ide-3 added: {name: ide-3, address: 10.0.0.3:4000, weight: 2}",
		"health.path: /healthz → /up",
		"timeouts.tunnel: 1h0m0s → 2h0m0s",
		"trusted_networks: 10.0.0.0/8 removed",
	}
	if got := Diff(before, after); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := Diff(before, before); len(got) > 0 {
		t.Errorf("a configuration differs from itself: %q", got)
	}
}

// TestDiffKnowsEveryKey changes one key after the other.
func TestDiffKnowsEveryKey(t *testing.T) {
	count := 0
	eachLeaf("", reflect.TypeFor[Config](), nil, func(path string, set func(*Config)) {
		count++
		before, after := new(Config), new(Config)
		set(after)
		if got := Diff(before, after); len(got) != 1 || !strings.HasPrefix(got[0], path+":") && !strings.HasPrefix(got[0], path+".x:") {
			t.Errorf("%s: got %q", path, got)
		}
	})
	if count < 60 {
		t.Errorf("only %d keys were tried", count)
	}
}

// eachLeaf calls do for each key below t that has a value of its own, with a func that sets
// it. index is where t is in a Config.
func eachLeaf(path string, t reflect.Type, index []int, do func(path string, set func(*Config))) {
	for _, f := range fieldsOf(t) {
		sub, at := under(path, f.key), append(append([]int(nil), index...), f.index...)
		ft := t.FieldByIndex(f.index).Type
		if ft.Kind() == reflect.Struct && len(fieldsOf(ft)) > 0 {
			eachLeaf(sub, ft, at, do)
			continue
		}
		do(sub, func(c *Config) { fill(reflect.ValueOf(c).Elem().FieldByIndex(at)) })
	}
}

// fill sets v to something else than its zero value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(time.Second))
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), reflect.New(v.Type().Elem()).Elem())
	case reflect.Struct:
		fill(v.Field(0))
	default:
		panic("no value for " + v.Type().String())
	}
}
