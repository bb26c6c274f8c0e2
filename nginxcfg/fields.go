package nginxcfg

import (
	"slices"
	"strings"

	"tokenring/migration"
	"tokenring/proxy/fields"
)

// changes are the fields that lb changes for a pool or a route.
type changes struct{ cfg fields.Config }

// ourFields are the request fields that lb sends by itself, and the values with which nginx sends
// the same.
var ourFields = map[string][]string{
	"host":              {"$host", "$http_host", "$host:$server_port"},
	"x-forwarded-for":   {"$proxy_add_x_forwarded_for", "$remote_addr"},
	"x-forwarded-proto": {"$scheme"},
	"x-forwarded-host":  {"$host", "$http_host"},
	"x-request-id":      {"$request_id"},
	"upgrade":           {"$http_upgrade"},
	"connection":        {"upgrade", "Upgrade", "$connection_upgrade", "", "keep-alive", "$http_connection"},
}

// variables are what nginx puts into a value, and lb's variables for the same.
var variables = strings.NewReplacer(
	"{", "{{", "}", "}}",
	"$remote_addr", "{client}", "$remote_port", "{client_port}", "$http_host", "{host}", "$hostname", "$hostname", "$host", "{host}",
	"$request_id", "{request_id}", "$ssl_protocol", "{tls_version}", "$server_port", "{listener_port}",
	"$ssl_client_s_dn_legacy", "$ssl_client_s_dn_legacy", "$ssl_client_s_dn", "{client_certificate_subject}",
)

// collectFields finds the changes of fields in force in each location. Where those of all locations
// of an upstream are the same, they are its pool's.
func (t *translation) collectFields() {
	for _, s := range t.servers {
		for _, l := range s.locations {
			if l.upstream == nil || s.always {
				continue
			}
			l.fields = t.fieldsOf(l)
			before, found := t.plan.fields[l.upstream]
			if t.plan.fields[l.upstream] = l.fields; found && before != l.fields {
				t.differs[l.upstream] = true
			}
		}
	}
	for u := range t.differs {
		delete(t.plan.fields, u)
	}
}

// fieldsOf returns the section fields with the changes in force in a location, "" if there are none.
func (t *translation) fieldsOf(l *location) string {
	c := new(changes)
	named := false
	for _, d := range l.d.force("proxy_set_header") {
		named = named || strings.EqualFold(d.arg(0), "host")
		t.requestField(c, d)
	}
	if !named {
		l.pass.note(changed, "without proxy_set_header Host, nginx sends hosts the name in this line; lb passes on the Host that the client sends")
	}
	for _, d := range l.d.force("add_header") {
		t.answerField(c, d)
	}
	for _, d := range l.d.force("proxy_hide_header") {
		t.change(d, &c.cfg, func(cfg *fields.Config) { cfg.Response.Remove = append(cfg.Response.Remove, d.arg(0)) })
	}
	return c.yaml()
}

// alwaysAdded are the statuses of answers that get the fields of add_header without the word always.
var alwaysAdded = []string{"200", "201", "204", "206", "301", "302", "303", "304", "307", "308"}

// ownFields returns the section fields for the answers of a line return, "" if they have none.
func (t *translation) ownFields(d *directive) string {
	c := new(changes)
	status := d.arg(0)
	if strings.Contains(status, "://") {
		status = "302"
	}
	for _, add := range d.within.force("add_header") {
		if status != "444" && (add.arg(2) == "always" || slices.Contains(alwaysAdded, status)) {
			t.answerField(c, add)
		}
	}
	return c.yaml()
}

func (t *translation) requestField(c *changes, d *directive) {
	name, value := d.arg(0), unbrace(d.arg(1))
	key := strings.ToLower(name)
	values, ours := ourFields[key]
	switch {
	case ours && slices.Contains(values, value):
		d.note(changed, ownWords[key])
	case ours && (key == "host" || key == "upgrade" || key == "connection"):
		d.note(stops, "lb passes on what the client sends in this field, and not this value")
	case ours:
		d.note(stops, "lb sets this field by itself, for every request, and not to this value. If a proxy in front of lb sends the right value, name it in trusted_networks, and lb keeps that value")
	case value == "":
		t.change(d, &c.cfg, func(cfg *fields.Config) { cfg.Request.Remove = append(cfg.Request.Remove, name) })
	default:
		t.change(d, &c.cfg, func(cfg *fields.Config) {
			cfg.Request.Set = append(cfg.Request.Set, fields.Value{Name: name, Text: variables.Replace(value)})
		})
	}
}

const (
	whyHost    = "lb passes on the Host that the client sends"
	whyOwn     = "lb sets this field by itself, for every request; what clients send in it is dropped, unless their network is in trusted_networks"
	whyUpgrade = "lb passes on the upgrade to a WebSocket by itself"
)

var ownWords = map[string]string{
	"host": whyHost, "x-forwarded-for": whyOwn, "x-forwarded-proto": whyOwn, "x-forwarded-host": whyOwn, "x-request-id": whyOwn,
	"upgrade": whyUpgrade, "connection": whyUpgrade,
}

func (t *translation) answerField(c *changes, d *directive) {
	name, value := d.arg(0), d.arg(1)
	if strings.EqualFold(name, "Strict-Transport-Security") && t.takeHSTS(d, value) {
		return
	}
	t.change(d, &c.cfg, func(cfg *fields.Config) {
		cfg.Response.Add = append(cfg.Response.Add, fields.Value{Name: name, Text: variables.Replace(unbrace(value))})
	})
	if d.arg(2) != "always" {
		d.note(changed, "nginx adds the field to some statuses only; lb adds it to all answers")
	}
}

// change makes a change, unless lb check would refuse it.
func (t *translation) change(d *directive, cfg *fields.Config, add func(*fields.Config)) {
	before := *cfg
	add(cfg)
	text := variables.Replace(unbrace(d.arg(1)))
	if len(cfg.Check()) > 0 || strings.Contains(text, "$") {
		*cfg = before
		d.note(stops, "lb can't make this change: it has few variables, and some fields are its own")
		return
	}
	d.note(took, "fields: "+d.arg(0))
}

// unbrace writes variables without braces.
func unbrace(text string) string { return bracedVariable().ReplaceAllString(text, "$$$1") }

var bracedVariable = migration.Pattern(`\$\{([a-z_]+)\}`)

var hstsValue = migration.Pattern(`(?i)^max-age=(\d{1,9})((?:\s*;\s*(?:includeSubDomains|preload))*)\s*;?$`)

// takeHSTS takes Strict-Transport-Security for all answers.
func (t *translation) takeHSTS(d *directive, value string) bool {
	found := hstsValue().FindStringSubmatch(strings.TrimSpace(value))
	if found == nil {
		return false
	}
	text := "{max_age: " + found[1]
	for _, flag := range []struct{ word, key string }{{"includesubdomains", "include_subdomains"}, {"preload", "preload"}} {
		if strings.Contains(strings.ToLower(found[2]), flag.word) {
			text += ", " + flag.key + ": true"
		}
	}
	t.plan.hsts.set(d, "hsts", text+"}")
	return true
}

// yaml returns the section fields, "" if there is none.
func (c *changes) yaml() string {
	var keys []string
	for _, one := range []struct {
		key string
		of  fields.Changes
	}{{"request", c.cfg.Request}, {"response", c.cfg.Response}} {
		var parts []string
		if len(one.of.Remove) > 0 {
			parts = append(parts, "remove: ["+quoted(one.of.Remove)+"]")
		}
		for _, values := range []struct {
			key string
			all fields.Values
		}{{"set", one.of.Set}, {"add", one.of.Add}} {
			if len(values.all) > 0 {
				parts = append(parts, values.key+": {"+pairs(values.all)+"}")
			}
		}
		if len(parts) > 0 {
			keys = append(keys, one.key+": {"+strings.Join(parts, ", ")+"}")
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return "{" + strings.Join(keys, ", ") + "}"
}

func pairs(all fields.Values) string {
	var list []string
	for _, v := range all {
		list = append(list, migration.QuoteName(v.Name)+": "+migration.Quote(v.Text))
	}
	return strings.Join(list, ", ")
}
