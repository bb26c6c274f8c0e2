package nginxcfg_test

import (
	"testing"

	"tokenring/migration"
)

// TestLimits: what holds for all requests to hosts becomes limits.per_source or limits.per_key.
func TestLimits(t *testing.T) {
	const (
		hash  = "hash $arg_token consistent;"
		conns = "limit_conn_zone $binary_remote_addr zone=a:10m; limit_conn_zone $arg_token zone=b:10m; limit_conn_zone $server_name zone=c:10m;"
		reqs  = "limit_req_zone $binary_remote_addr zone=a:10m rate=10r/s; limit_req_zone $arg_token zone=b:10m rate=30r/m; limit_req_zone $remote_addr zone=c:1m;"
		other = "location /x { proxy_pass http://10.0.0.9; }"
	)
	checkLines(t, []lineRow{
		{around("", "limit_conn a 5;", hash, conns), migration.Changed, "limits.per_source: one value", "  per_source:\n    connections: 5"},
		{around("limit_conn b 5;", "limit_conn b 7; location /y { proxy_pass http://ide; }", hash, conns), migration.Took, "limits.per_key.terminals: 7", "  per_key:\n    terminals: 7"},
		{around("limit_conn b 5;", "", hash, conns), migration.Changed, "65,536 sources", ""},
		{around("limit_conn c 5;", "", hash, conns), migration.Stops, "nothing is refused", ""},
		{around("limit_conn a 5;", other, hash, conns), migration.Decide, "write per_source: {connections: 5} into limits", ""},
		{around("limit_conn a many;", "", hash, conns), migration.Decide, "can't read this value", ""},
		{around("limit_conn a 5;", "limit_conn_dry_run on;", hash, conns), migration.LeftOut, "only counts", ""},
		{around("limit_conn z 5;", "", hash, conns), migration.Decide, "no line of this file has its table", ""},
		{around("limit_req zone=a burst=20 nodelay;", "", hash, reqs), migration.Took, "limits.per_source.requests: 10/s", "    requests: 10/s  # 12\n    burst: 2.1s  # 12"},
		{around("limit_req zone=a;", "", hash, reqs), migration.Changed, "lets them pass at once", "    burst: 100ms"},
		{around("limit_req zone=b burst=5;", "", hash, reqs), migration.Took, "limits.per_key.burst: 12s", "  per_key:\n    requests: 30/m"},
		{around("limit_req zone=c;", "", hash, reqs), migration.Took, "limits.per_source.requests: 1/s", "    burst: 1s"},
		{around("limit_req zone=a; limit_req zone=c;", "", hash, reqs), migration.LeftOut, "lb has one value for all", "    requests: 10/s"},
		{around("limit_req zone=b burst=5;", other, hash, reqs), migration.Decide, "write per_key: {requests: 30/m, burst: 12s}", ""},
		{around("limit_req zone=b burst=9999;", "", hash, reqs), migration.Decide, "can't read this value", ""},
		{around("limit_req zone=d;", "", hash, "limit_req_zone $arg_token zone=d:1m rate=fast;"), migration.Decide, "can't read this value", ""},
		{around("limit_req zone=a;", "limit_req_status 429;", hash, reqs), migration.LeftOut, "429, with Retry-After", ""},
	})
}
