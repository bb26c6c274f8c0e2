// Package browser holds the tests that look at the demo's page and at the
// dashboard with Chromium, as users do. It is a module of its own so that the
// browser's protocol isn't among the balancer's dependencies.
package browser
