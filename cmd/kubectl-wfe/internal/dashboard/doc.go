// Package dashboard serves the pages of package page on the loopback interface. The pages are read-only, update live and
// require a token. The server reads from a store and has no client; the caller decides which executions the store has.
package dashboard
