// Package contract is what every built-in action shares: how parameters reach it, how outputs, log lines, exit codes and
// termination messages leave it, and how a step that is tried again recognises what it has done before.
//
// It knows no single action, and it never reads a parameter from the command line: values arrive in environment variables
// only, so that no value can become part of a command.
package contract
