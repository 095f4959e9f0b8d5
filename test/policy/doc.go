// Package policy tests config/policy and the roles for people of config/rbac at a real API server: for each rule, somebody whom
// it refuses and somebody whom it does not. Users are impersonated. It runs no controller and no pod; the attacks on a whole
// cluster are in test/e2e.
package policy
