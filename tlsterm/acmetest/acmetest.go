// Package acmetest holds the tests of tlsterm against pebble, a real ACME
// server, which they build and start themselves. It is a module of its own so
// that pebble isn't among the balancer's dependencies.
package acmetest
