// Package contract implements what all built-in actions share: how they read parameters, how they write outputs, log
// lines, exit codes and termination messages, and how a retry recognises the work of earlier attempts.
//
// It contains no action, and it never reads a parameter from the command line: values are environment variables, so that
// no value can become part of a command.
package contract
