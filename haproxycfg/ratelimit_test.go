package haproxycfg_test

import "tokenring/haproxycfg"

const table = "stick-table type ip size 1m expire 1m store http_req_rate(10s),conn_rate(60s),conn_cur\nhttp-request track-sc0 src\n"

// rateLines are limits of sources.
var rateLines = []lineRow{
	{"frontend", table + "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 200 }", haproxycfg.Changed, "limits.per_source.requests: 20/s", "  per_source:\n    requests: 20/s  # 11\n    burst: 10s  # 11\n"},
	{"frontend", table + "acl many sc0_http_req_rate ge 6\nhttp-request deny if many", haproxycfg.Changed, "lb refuses what is beyond", "    requests: 30/m  # 12\n    burst: 10s  # 12\n"},
	{"frontend", table + "tcp-request connection reject if { src_conn_cur gt 50 }", haproxycfg.Changed, "limits.per_source.connections: 50", "    connections: 50  # 11\n"},
	{"frontend", table + "tcp-request connection reject if { sc0_conn_rate gt 100 }", haproxycfg.Changed, "limits.per_source.new_connections: 100/m", "    new_connections: 100/m  # 11\n    burst: 1m  # 11\n"},
	{"frontend", table + "tcp-request connection reject if { sc0_conn_rate gt 60 }\nhttp-request deny if { sc0_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", "    new_connections: 1/s  # 11\n"},
	{"frontend", table + "http-request deny if { sc0_http_req_rate gt 20 } !{ src ::1 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", table + "http-request deny if { sc0_http_req_rate gt 0 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", table + "http-request deny if { sc1_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", table + "http-request deny if { sc0_gpc0_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request track-sc0 src table none\nhttp-request deny if { sc0_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request track-sc0 src table ide\nhttp-request deny if { sc0_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "stick-table type string len 9 size 1k store http_req_rate(10s)\nhttp-request track-sc0 src\nhttp-request deny if { sc0_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "stick-table type ip size 1k store http_req_rate(10s)\nhttp-request track-sc0 url_param(token)\nhttp-request deny if { sc0_http_req_rate gt 20 }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "stick-table type ip size 1k store http_req_rate(7s)\nhttp-request track-sc0 src\nhttp-request deny if { sc0_http_req_rate gt 1 }", haproxycfg.Stops, "reach the hosts", ""},
}
