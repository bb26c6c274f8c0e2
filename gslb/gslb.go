// Package gslb answers queries of the DNS for a zone: the names of services lead each network to a
// region that serves it. Answers are rendered when the state of the regions changes; a query is
// then read, looked up and copied.
package gslb
