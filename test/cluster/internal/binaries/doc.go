// Package binaries builds the programs of a local cluster from Go modules, whose versions the folders of pins define, and keeps them in a
// cache outside of the checkout. Its callers start the programs as processes or pack them as images. It downloads only by the go command,
// and runs no other program.
package binaries
