// Package observability holds the tests of what observes the controller: rules, alerts, runbooks, objectives and the
// dashboard, which are read from config. What needs no cluster is here and runs with promtool and Prometheus' own parser;
// what needs one is in the folder live. It is a module of its own, so that Prometheus moves no version of the product.
package observability
