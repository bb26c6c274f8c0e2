package nginxcfg

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"tokenring/migration"
)

// A reason says why directives have no place in lb.yaml, or why they need none. A * in a
// keyword is for anything.
type reason struct {
	verdict  migration.Verdict
	why      string
	keywords string
}

const whyMetrics = "lb has /metrics and a dashboard at admin.address"

var reasons = []reason{
	{leftOut, "a setting of nginx's processes", "user worker_* pid daemon master_process events load_module pcre_jit env lock_file thread_pool timer_resolution working_directory use multi_accept accept_mutex* debug_* ssl_engine google_perftools_profiles"},
	{leftOut, "a setting of nginx's internals", "postpone_gzipping proxy_headers_hash_* proxy_send_lowat referer_hash_* subrequest_output_buffer_size uninitialized_variable_warn msie_* sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio* directio* output_buffers postpone_output *_hash_max_size types_hash_* server_names_hash_* variables_hash_* map_hash_* reset_timedout_connection lingering_* connection_pool_size request_pool_size open_file_cache* client_body_buffer_size client_body_temp_path client_body_in_* client_header_buffer_size read_ahead zone"},
	{leftOut, "lb serves no files, so it needs no types of them", "types default_type charset* index autoindex* etag if_modified_since expires disable_symlinks max_ranges random_index mp4* flv slice empty_gif override_charset source_charset"},
	{leftOut, "lb serves no files: the locations without proxy_pass say what becomes of their requests", "root alias try_files"},
	{leftOut, "lb keeps connections to clients and hosts open, and lets WebSockets through", "keepalive keepalive_requests keepalive_time keepalive_disable proxy_http_version proxy_socket_keepalive proxy_cache_bypass proxy_no_cache"},
	{leftOut, "lb has no separate timeout for this; timeouts.body ends what stalls", "send_timeout proxy_send_timeout lingering_timeout resolver_timeout ssl_handshake_timeout http2_recv_timeout http2_idle_timeout"},
	{leftOut, "lb streams bodies: it keeps neither requests nor answers back", "proxy_buffering proxy_request_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_max_temp_file_size proxy_temp_* proxy_limit_rate"},
	{leftOut, "when a host can't be reached, lb tries the next one: the one that will have the token when the first is out", "proxy_next_upstream*"},
	{leftOut, "lb looks names up by the system's resolver, every five seconds", "resolver"},
	{leftOut, "lb doesn't compress: let the hosts do it", "gzip* brotli* gunzip*"},
	{leftOut, "lb caches no answers: hosts get all requests", "proxy_cache* proxy_store*"},
	{leftOut, "lb passes on the Server field of hosts, and has none of its own", "server_tokens proxy_pass_header"},
	{leftOut, "lb passes on Location as the host sends it", "proxy_redirect absolute_redirect port_in_redirect server_name_in_redirect"},
	{leftOut, "lb passes on cookies as hosts set them", "proxy_cookie_*"},
	{leftOut, "lb goes on serving a client that has closed one direction, unless half_close says otherwise", "proxy_ignore_client_abort"},
	{leftOut, "lb's access log is on, with a line in JSON for each request or terminal (log.access); log.access_output names a file for it", "access_log log_format log_not_found log_subrequest open_log_file_cache"},
	{leftOut, "lb's log goes to standard error, unless log.output names a file", "error_log rewrite_log"},
	{leftOut, "lb offers a good choice of ciphers and curves; see tls.cipher_suites", "ssl_ciphers ssl_prefer_server_ciphers ssl_ecdh_curve ssl_dhparam ssl_conf_command"},
	{leftOut, "lb keeps sessions of TLS in tickets, with keys of its own", "ssl_session_* ssl_buffer_size"},
	{leftOut, "lb staples no OCSP answers", "ssl_stapling* ssl_trusted_certificate ssl_ocsp*"},
	{leftOut, "lb takes no data before the handshake is done", "ssl_early_data"},
	{decide, "lb reads keys without a passphrase only: decrypt the key into a file that lb alone may read", "ssl_password_file"},
	{leftOut, "lb's bounds for HTTP/2 are its own", "http2_* http2 http3*"},
	{leftOut, "no server with TLS is there for which it holds", "ssl_reject_handshake"},
	{leftOut, "lb has no bound for the length of a chain of certificates", "ssl_verify_depth proxy_ssl_verify_depth"},
	{leftOut, "lb asks hosts for the name in server_name, or for that in their addresses", "proxy_ssl_server_name"},
	{stops, "lb reads no lists of revoked certificates: it takes one that was revoked like any other", "proxy_ssl_crl ssl_crl"},
	{leftOut, "lb speaks TLS 1.2 and 1.3 with hosts, with a good choice of ciphers", "proxy_ssl_*"},
	{leftOut, "lb goes through all proxies that trusted_networks names", "real_ip_recursive"},
	{leftOut, "lb is always strict: requests that can be read in two ways get 400", "ignore_invalid_headers underscores_in_headers merge_slashes"},
	{leftOut, "a table of limits is for the lines that use it", "limit_conn_zone limit_req_zone limit_conn_dry_run limit_req_dry_run"},
	{leftOut, "beyond a limit lb answers 429, with Retry-After, or closes the connection; lb_limited_total counts both", "limit_conn_status limit_req_status limit_conn_log_level limit_req_log_level"},
	{stops, "lb doesn't slow answers down", "limit_rate limit_rate_after"},
	{leftOut, "it belongs to a protocol that lb doesn't speak with hosts", "fastcgi_* uwsgi_* scgi_* grpc_* memcached_*"},
	{leftOut, "lb delays no answer to a wrong password: limit requests per source against those who guess", "auth_delay"},
	{leftOut, "lb passes on all fields of hosts, and does nothing because of X-Accel-Redirect and the like", "proxy_ignore_headers proxy_force_ranges chunked_transfer_encoding"},
	{leftOut, "lb's pages cause no further requests", "recursive_error_pages"},
	{stops, "lb passes on the errors of hosts as they are; pages.html is for its own", "proxy_intercept_errors"},
	{stops, "lb passes on method, fields and body as the client sends them", "proxy_method proxy_set_body proxy_pass_request_body proxy_pass_request_headers"},
	{stops, "lb sets no cookies but those of affinity.cookie", "userid userid_*"},
	{decide, "lb connects to hosts from the address that the system chooses: see whether they rely on another one", "proxy_bind"},
	{stops, "lb changes no paths: hosts get them as clients send them", "rewrite"},
	{stops, "lb has no conditions but those of routes: what is in the block isn't done", "if limit_except break"},
	{stops, "lb has no variables: what the line is for isn't done", "set set_by_* perl_set js_set auth_request_set ancient_browser* modern_browser*"},
	{stops, "lb sends no request to two hosts", "mirror* post_action"},
	{stops, "lb speaks HTTP only: what comes here needs nginx, or another balancer", "stream mail"},
	{stops, "lb runs no programs of its own: what the line does isn't done", "*_by_lua* js_* lua_* perl* ssi* sub_filter* add_before_body add_after_body addition_types image_filter* xslt_* dav_* secure_link* create_full_put_path min_delete_depth valid_referers geoip* more_* modsecurity*"},
	{leftOut, "nothing that lb.yaml has uses this table", "map geo split_clients"},
	{leftOut, whyMetrics, "stub_status status* api vhost_traffic_status*"},
	{stops, "lb adds no fields behind a body", "add_trailer"},
	{leftOut, "lb's checks are in the section health; they begin before a host gets requests", "health_check match state"},
	{leftOut, "clients of listeners with redirect_https don't come here", "server_name"},
	{took, "settings of the requests that come here", "location server"},
	{leftOut, "there is no location with hosts for which it holds", "proxy_set_header add_header proxy_hide_header proxy_read_timeout proxy_connect_timeout client_max_body_size client_header_timeout client_body_timeout keepalive_timeout large_client_header_buffers allow deny satisfy internal proxy_pass return error_page ssl_certificate ssl_certificate_key ssl_protocols ssl_client_certificate ssl_verify_client ssl auth_basic auth_basic_user_file auth_request limit_conn limit_req"},
}

// noteReason notes what a directive without a handler has become of.
func (d *directive) noteReason() {
	for _, r := range reasons {
		if !r.covers(d.name) {
			continue
		}
		if r.verdict == took {
			d.note(r.verdict, r.why)
		} else {
			d.noteWhole(r.verdict, r.why)
		}
		return
	}
	d.noteWhole(unknown, fmt.Sprintf("%q isn't known to the import; look it up in nginx's manual and see whether you rely on it", migration.Printable(d.name)))
}

func (r *reason) covers(name string) bool {
	return slices.ContainsFunc(strings.Fields(r.keywords), func(keyword string) bool {
		ok, _ := path.Match(keyword, name) // a directive has no slash in its name
		return ok
	})
}
