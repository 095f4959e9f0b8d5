// Package finished is the cache of the executions that have ended.
//
// In: the API server's executions in a terminal phase. Out: what is left to know of one (Get), and the parallel execution
// efficiency of those that ended within the hour. There may be very many, and nothing about them is urgent, so they are
// reconciled after all others, and the cache keeps under 1 KiB of each. It owns that cache and the account of the efficiency.
// Until the cache is filled, Get returns NotFound. It writes nothing, and nothing that it returns is ever written: code that
// changes an execution reads it from the API server.
package finished
