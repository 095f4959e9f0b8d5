// Package actions holds the built-in actions, one file for each family, and the list of them.
//
// An action does one thing through client-go and returns when the effect is true. It never guesses: what it found before
// it changed an object is recorded on that object in the same write (or before it), under the optimistic lock of the
// resource version, so that a retry at any point ends as one undisturbed attempt would have ended.
package actions
