// Package dashboard serves the pages of package page to one browser on this machine: read only, for whoever knows the
// token, and live. It shows what a store holds and talks to no cluster; who fills the store decides what may be seen.
package dashboard
