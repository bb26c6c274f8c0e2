package affinity

import (
	"net/http"
	"testing"
	"time"

	"tokenring/http1"
)

func TestAttributesAreWrittenAsBrowsersReadThem(t *testing.T) {
	yes, no := true, false
	for _, row := range []struct {
		c    CookieConfig
		want string
	}{
		{CookieConfig{}, "; Path=/; HttpOnly"},
		{CookieConfig{HTTPOnly: &no, Secure: &yes}, "; Path=/; Secure"},
		{CookieConfig{Secure: &yes, SameSite: "none", Partitioned: true}, "; Path=/; HttpOnly; Secure; SameSite=None; Partitioned"},
		{CookieConfig{Domain: ".example.com", SameSite: "lax"}, "; Path=/; Domain=example.com; HttpOnly; SameSite=Lax"},
	} {
		row.c.SetDefaults(false)
		got := attributes(&row.c)
		if got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
		if c, err := http.ParseSetCookie("lb=1" + got); err != nil || c.Secure != *row.c.Secure || c.HttpOnly != *row.c.HTTPOnly ||
			c.Partitioned != row.c.Partitioned || len(c.Unparsed) > 0 {
			t.Errorf("%q reads as %+v, %v", got, c, err)
		}
	}
}

// TestCookieCostsLittle: nothing is allocated without affinity, and little with.
func TestCookieCostsLittle(t *testing.T) {
	on := New(withDefaults(CookieConfig{}), [][]byte{oneSecret})
	value := "lb=" + string(on.sealer.Load().Append(nil, Payload{Host: "a"}))
	now := time.Now()
	for _, row := range []struct {
		what   string
		a      *Cookies
		cookie string
		most   float64
	}{
		{"off", nil, value, 0},
		{"a client that comes back", on, value, 3},
		{"a new client", on, "x=y", 3},
	} {
		request := []http1.Field{{Name: []byte("Cookie"), Value: []byte(row.cookie), Kind: http1.KindCookie}}
		fields := make([]http1.Field, 0, 4)
		got := testing.AllocsPerRun(100, func() {
			c := row.a.Find(request, now)
			resp := http1.Response{Status: 200, Fields: fields}
			row.a.Set(&resp, "a", c, now)
		})
		if got > row.most {
			t.Errorf("%s: %v allocations, want at most %v", row.what, got, row.most)
		}
	}
}

func withDefaults(c CookieConfig) *CookieConfig {
	c.SetDefaults(false)
	return &c
}

func TestHostsCannotSetTheCookie(t *testing.T) {
	a := New(withDefaults(CookieConfig{}), nil)
	fields := []http1.Field{}
	for _, f := range []struct {
		name, value string
		kind        http1.Kind
	}{
		{"Set-Cookie", "lb=x; Path=/", http1.KindSetCookie},
		{"Set-Cookie", " lb =x", http1.KindSetCookie},
		{"Set-Cookie", "lba=x; lb=y", http1.KindSetCookie},
		{"X-Lb", "lb=x", http1.KindOther},
	} {
		fields = append(fields, http1.Field{Name: []byte(f.name), Value: []byte(f.value), Kind: f.kind})
	}
	a.Shield(fields)
	for i, want := range []bool{true, true, false, false} {
		if fields[i].Hop != want {
			t.Errorf("%s: dropped is %v", fields[i].Value, fields[i].Hop)
		}
	}
}
