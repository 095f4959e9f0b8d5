// Package observability tests the rules, alerts, runbooks, objectives and the dashboard in config. The tests in this folder need
// no cluster: they use promtool and the parser of Prometheus. The tests in the folder live need a cluster. The module is
// separate, so that the dependencies of Prometheus do not change the versions of the product.
package observability
