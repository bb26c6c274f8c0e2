package haproxycfg_test

import "tokenring/haproxycfg"

// accessLines are rules that turn clients away by their addresses.
var accessLines = []lineRow{
	{"frontend", "tcp-request connection reject if { src 10.9.0.0/16 }", haproxycfg.Took, "access: {deny", `access: {deny: ["10.9.0.0/16"]}}  # 8`},
	{"frontend", "tcp-request connection reject if !{ src -f /etc/haproxy/office.lst }", haproxycfg.Took, "access: {allow_file", `access: {allow_file: "/etc/haproxy/office.lst"}}  # 8`},
	{"frontend", "tcp-request connection reject if { src -f bad.lst 192.0.2.7 }", haproxycfg.Changed, "beside lb.yaml", `access: {deny: ["192.0.2.7"], deny_file: "bad.lst"}}  # 8`},
	{"frontend", "acl in src 10.0.0.0/8\nacl in src 10.1.2.3/255.255.0.0 ::1\nhttp-request deny unless in", haproxycfg.Changed, "closes connections from elsewhere", `access: {allow: ["10.0.0.0/8", "10.1.0.0/16", "::1"]}}  # 8`},
	{"frontend", "http-request deny unless { src 10.0.0.1 } || { src 10.0.0.2 }", haproxycfg.Changed, "closes", `access: {allow: ["10.0.0.1", "10.0.0.2"]}}  # 8`},
	{"frontend", "http-request deny unless { src 10.0.0.0/8 } { src 10.0.0.2 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src 10.0.0.0/8 } !{ src 10.0.0.2 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src 10.0.0.0/8 } { src 10.0.0.2 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src a.example.com }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src 10.0.0.0/255.0.255.0 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src -f a -f b }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src 10.0.0.1 } or { path /a }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { src 10.0.0.1 } { path_end .git }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if !{ src 10.0.0.1 }\nhttp-request deny if !{ src 10.0.0.2 }", haproxycfg.Took, "access: {allow", `  - {path_prefix: "/", pool: pool, access: {allow: ["10.0.0.2"]}}  # 10`},
	{"frontend", "http-request deny if { path_beg /admin } !{ src 10.0.0.0/8 }", haproxycfg.Took, "access: {allow", `  - {path_prefix: "/admin", pool: pool, access: {allow: ["10.0.0.0/8"]}}  # 9`},
	{"frontend", "http-request deny deny_status 404 if { path_beg /admin } { src 10.0.0.0/8 }", haproxycfg.Changed, "from elsewhere get 403", `pool: pool, access: {deny: ["10.0.0.0/8"]}}  # 9`},
	{"frontend", "use_backend ide if { path_beg /admin }\nhttp-request deny if { hdr(host) a } { path_beg /admin/x } !{ src ::1 }", haproxycfg.Took, "access: {allow", `  - {host: "a", path_prefix: "/admin/x", pool: pool, access: {allow: ["::1"]}}  # 9
  - {path_prefix: "/admin", pool: pool}  # 9`},
	{"frontend", "use_backend ide if { hdr_end(host) .b } METH_GET\nhttp-request deny if { hdr(host) a.b } METH_GET !{ src ::1 }", haproxycfg.Took, "access: {allow", `  - {host: "a.b", method: [GET, HEAD], pool: pool, access: {allow: ["::1"]}}  # 9
  - {host: "*.b", method: [GET, HEAD], pool: pool}  # 9`},
	{"frontend", "use_backend ide if { hdr(host) b } or METH_POST\nhttp-request deny if { hdr(host) a } METH_PUT !{ src ::1 }", haproxycfg.Took, "access: {allow", `  - {host: "b", pool: pool}  # 9
  - {method: [POST], pool: pool}  # 9
  - {host: "a", method: [PUT], pool: pool, access: {allow: ["::1"]}}  # 10`},
	{"frontend", "monitor-uri /up\nhttp-request deny if !{ src ::1 }", haproxycfg.Took, "access: {allow", `  - {path: "/up", respond: {status: 200}}  # 9
  - {path_prefix: "/", pool: pool, access: {allow: ["::1"]}}  # 10`},
	{"frontend", "http-request allow if { src ::1 }\nhttp-request deny if { path /a }", haproxycfg.Took, "access: {allow", `  - {path: "/a", pool: pool, access: {allow: ["::1"]}}  # 10`},
	{"frontend", "tcp-request connection reject\ntcp-request connection accept if { src ::1 }", haproxycfg.LeftOut, "no exception is needed", ""},
	{"frontend", "tcp-request connection accept if { src ::1 }\ntcp-request connection reject", haproxycfg.Took, "access: {allow", `access: {allow: ["::1"]}}  # 8`},
	{"frontend", "http-request allow if { path /b }\nhttp-request deny if { path_beg / }", haproxycfg.Stops, "reach the hosts", ""},
	{"backend", "http-request deny if !{ src ::1 }", haproxycfg.Took, "access: {allow", `  - {path_prefix: "/", pool: pool, access: {allow: ["::1"]}}  # 13`},
}
