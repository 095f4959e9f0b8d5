// Package postgres packs the PostgreSQL of Debian as an image, for tests that need a real database in a cluster. The image contains the
// server, initdb, pg_isready, a shell and the libraries that they load. The package installs PostgreSQL on this machine if it is missing,
// and starts no database.
package postgres
