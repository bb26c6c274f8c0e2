package edge

import (
	"slices"
	"testing"

	"tokenring/config"
	"tokenring/route"
)

func TestTheForecastOfAReloadHasNoBackupThatIsNotNeeded(t *testing.T) {
	parse := func(hosts string) *config.Config {
		c, err := config.Parse("lb.yaml", []byte("listen: [{address: \"127.0.0.1:80\"}]\npool: {hosts: ["+hosts+"]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const a, b, c = `{name: a, address: "10.0.0.1:80"}`, `{name: b, address: "10.0.0.2:80"}`, `{name: c, address: "10.0.0.3:80"}`
	const bBackup, cBackup = `{name: b, address: "10.0.0.2:80", backup: true}`, `{name: c, address: "10.0.0.3:80", backup: true}`
	host := func(name string) *route.Host {
		return &route.Host{Spec: route.Spec{Name: name, Weight: 1}, Standing: route.Standing{InRing: true}}
	}
	idle := host("c")
	idle.InRing, idle.WhyNot = false, route.WhyBackup
	for _, row := range []struct {
		name          string
		hosts         []*route.Host
		before, after string
		want          []string
	}{
		{"a backup comes", []*route.Host{host("a"), host("b")}, a + "," + b, a + "," + b + "," + cBackup, []string{"a", "b"}},
		{"a host becomes a backup", []*route.Host{host("a"), host("b")}, a + "," + b, a + "," + bBackup, []string{"a"}},
		{"a backup becomes another host", []*route.Host{host("a"), idle}, a + "," + cBackup, a + "," + c, []string{"a", "c"}},
		{"a backup stays", []*route.Host{host("a"), idle}, a + "," + cBackup, a + "," + cBackup, []string{"a"}},
	} {
		table, err := nextTable(route.NewSnapshot(nil, row.hosts), parse(row.before), parse(row.after))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range table.Hosts() {
			got = append(got, h.Name)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
