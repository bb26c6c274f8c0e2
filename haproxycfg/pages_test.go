package haproxycfg_test

import "tokenring/haproxycfg"

// pageLines are rules for error pages.
var pageLines = []lineRow{
	{"frontend", "errorfile 503 /etc/e/503", haproxycfg.Changed, "lb answers with 503", "pages:\n  html:\n    503: \"/etc/e/503\"  # 9\n"},
	{"frontend", "errorfile 503 /etc/e/none", haproxycfg.Decide, "copy it", "    503: \"/etc/e/none\"  # 9\n"},
	{"frontend", "errorfile 503 busy.http", haproxycfg.Decide, "copy it", "    503: \"busy.http\"  # 9\n"},
	{"frontend", "errorfile 408 /etc/e/408", haproxycfg.LeftOut, "lb's own page", ""},
	{"frontend", "errorfile 408 /dev/null", haproxycfg.LeftOut, "lb's own page", ""},
	{"frontend", "errorfile 200 /etc/e/503", haproxycfg.LeftOut, "only errors have pages", ""},
	{"defaults", "errorfile 503 /dev/zero\nerrorfile 503 /etc/e/503", haproxycfg.Changed, "pages.html.503", "    503: \"/etc/e/503\"  # 7\n"},
	{"defaults", "errorfile 503 /etc/e/503\nerrorfile 503 /etc/e/none", haproxycfg.Decide, "pages.html.503", "    503: \"/etc/e/none\"  # 7\n"},
	{"frontend", "http-error status 502 content-type text/html file /etc/e/503", haproxycfg.Changed, "pages.html.502", "    502: \"/etc/e/503\"  # 9\n"},
	{"frontend", "http-error status 502 errorfile /etc/e/503", haproxycfg.Changed, "pages.html.502", "    502: \"/etc/e/503\"  # 9\n"},
	{"frontend", "http-error status 502 string x", haproxycfg.LeftOut, "pages of its own", ""},
	{"frontend", "errorfiles none", haproxycfg.LeftOut, "pages of its own", ""},
	{"global", "http-errors site\nerrorfile 503 /etc/e/503\nfrontend other\nmode http\nbind :1\ndefault_backend ide\nerrorfiles site 503", haproxycfg.Took, "of that section", "    503: \"/etc/e/503\"  # 3\n"},
	{"server", "check\nfrontend z\nbind 127.0.0.1:2\nuse_backend api if { path /a }\ndefault_backend ide\nbackend api\nserver y 10.0.0.8:1\nerrorfile 503 /etc/e/503", haproxycfg.LeftOut, "none for a pool alone", ""},
}
