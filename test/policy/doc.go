// Package policy tests config/policy and the user roles of config/rbac on a real API server: for each rule, a user whom it
// refuses and a user whom it allows. It impersonates users and runs no controller and no pods. Attacks on a whole cluster are in
// test/e2e.
package policy
