// Package binaries builds the programs of a local cluster from Go modules whose versions are fixed by the folders of pins, and keeps
// them in a cache outside of the checkout. It knows nothing of what the programs are used for: a local cluster starts them as
// processes, an image may be packed from the same files. It downloads only through the go command, and runs nothing but that.
package binaries
