// Package h2spec holds the balancer against h2spec, a suite of tests for HTTP/2
// (RFC 7540) and HPACK (RFC 7541), over TLS as browsers come. It is a module of
// its own, so that the balancer's doesn't depend on the suite.
package h2spec
