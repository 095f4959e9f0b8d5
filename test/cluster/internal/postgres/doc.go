// Package postgres packs the PostgreSQL of this machine's Debian as an image, for tests that need a real database in a cluster: the
// server, initdb, pg_isready, a shell, the libraries that they load, and nothing else. It installs the package where it is missing, and
// starts no database.
package postgres
