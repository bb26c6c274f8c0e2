package haproxycfg_test

import "tokenring/haproxycfg"

// expectLines are what checks ask, and which answers pass.
var expectLines = []lineRow{
	{"backend", "option httpchk GET /\nhttp-check expect status 401", haproxycfg.Took, "health.expect.status", "  expect:\n    status: \"401\"  # 14\n"},
	{"backend", "option httpchk GET /\nhttp-check expect status 200,401", haproxycfg.Took, "health.expect.status", `    status: "200,401"`},
	{"backend", "option httpchk GET /\nhttp-check expect status 200-499", haproxycfg.Took, "health.expect.status", `    status: "200-499"`},
	{"backend", "option httpchk GET /\nhttp-check expect ! rstatus ^5", haproxycfg.Took, "health.expect.status", `    status: "200-499"`},
	{"backend", "option httpchk GET /\nhttp-check expect rstatus (2|3)[0-9][0-9]", haproxycfg.Took, "200 to 399", `  path: "/"`},
	{"backend", "option httpchk GET /\nhttp-check expect rstatus ^404", haproxycfg.Took, "health.expect.status", `    status: "404"`},
	{"backend", "option httpchk GET /\nhttp-check expect rstatus (?<=4)04", haproxycfg.Stops, "all users get 503", ""},
	{"backend", "option httpchk GET /\nhttp-check expect rstatus 9", haproxycfg.Took, "209,219,229,239,249,259,269,279,289-299", "309"},
	{"backend", "option httpchk GET /\nhttp-check expect rstatus x", haproxycfg.Stops, "all users get 503", ""},
	{"backend", "option httpchk GET /\nhttp-check expect status 100", haproxycfg.Stops, "all users get 503", ""},
	{"backend", "option httpchk GET /\nhttp-check expect ! status 500", haproxycfg.Took, "health.expect.status", `    status: "200-499,501-599"`},
	{"backend", "option httpchk GET /\nhttp-check expect string fine", haproxycfg.Took, "health.expect.text", "    status: \"200-599\"  # 14\n    text: \"fine\"  # 14\n"},
	{"backend", "option httpchk GET /\nhttp-check expect status 200\nhttp-check expect string fine", haproxycfg.Took, "health.expect.text", "    status: \"200\"  # 14\n    text: \"fine\"  # 15\n"},
	{"backend", "option httpchk GET /\nhttp-check expect string fine\nhttp-check expect string good", haproxycfg.LeftOut, "one value for all", `    text: "fine"`},
	{"backend", "option httpchk GET /\nhttp-check expect ! string broken", haproxycfg.Decide, "statuses and a text", ""},
	{"backend", "option httpchk GET /\nhttp-check expect rstring fine|good", haproxycfg.Decide, "statuses and a text", ""},
	{"backend", "option httpchk GET /\nhttp-check expect string \"$TEXT\"", haproxycfg.Decide, "write health.expect", ""},
	{"backend", "option httpchk GET /\nhttp-check expect status 200-399", haproxycfg.Took, "200 to 399", ""},
	{"backend", "option httpchk GET /\nhttp-check expect comment up min-recv 5 status 200,204,300-302", haproxycfg.Took, "health.expect.status", `    status: "200,204,300-302"`},
	{"backend", "option httpchk GET /\nhttp-check send meth GET uri /up hdr X-Day %[date]", haproxycfg.Decide, "X-Day isn't sent", ""},
	{"backend", "default-server check port 9000", haproxycfg.Took, "health.port: 9000", "  port: 9000  # 13\n"},
	{"server", "check port 9000", haproxycfg.Stops, "one health.port for all", ""},
}
