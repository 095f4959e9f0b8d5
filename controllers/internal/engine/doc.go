// Package engine waits for Argo's kinds.
//
// In: a manager, and what is to be watched once the kinds are served. Out: whether they are (IsAvailable), and whether they
// appeared just now (IsNew). It owns that one fact. A watch on a kind that is not served would end the manager after two
// minutes, so the watches begin here. It reads no object.
package engine
