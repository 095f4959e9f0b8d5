package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLoaded(t *testing.T) {
	const output = `/bin/sh:
	linux-vdso.so.1 (0x00007fff2a5f2000)
	libc.so.6 => /lib/libc.so.6 (0x00007f2e5a800000)
	/lib64/ld-linux.so.2 (0x00007f2e5aab0000)
/usr/lib/module.so:
	libxml2.so.2 => /usr/lib/libxml2.so.2 (0x00007f2e5a700000)
	libc.so.6 => /lib/libc.so.6 (0x00007f2e5a800000)
/usr/lib/alone.so:
	statically linked
`
	got, err := parseLoaded(output)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/lib/libc.so.6", "/lib64/ld-linux.so.2", "/usr/lib/libxml2.so.2"}, got); diff != "" {
		t.Errorf("each library and the loader, once (-want +got):\n%s", diff)
	}
}

func TestParseLoadedReportsMissingLibraries(t *testing.T) {
	if got, err := parseLoaded("\tlibc.so.6 => /lib/libc.so.6 (0x00007f2e5a800000)\n\tlibssl.so.3 => not found\n"); err == nil {
		t.Errorf("parseLoaded() = %q, want an error, because the program cannot start", got)
	}
}
