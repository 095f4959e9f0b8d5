package documents

import (
	"fmt"
	"regexp"
	"strings"
)

// times matches durations and timestamps, which differ between runs.
var times = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[\d:.]+Z?|\b\d\d:\d\d:\d\d\b|\b(\d+(\.\d+)?(ms|[dhms]))+\b`)

var blanks = regexp.MustCompile(`[ \t]+`)

// Compare returns an error if the output of a command differs from what the document shows.
func (c Command) Compare(printed string) error {
	if c.Output == nil {
		return nil
	}
	var want strings.Builder
	for _, line := range c.Output {
		line = normal(line)
		if line == "…" {
			want.WriteString(`(?:.*\n)*?`)
			continue
		}
		want.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	pattern, err := regexp.Compile("^" + want.String() + "$")
	if err != nil {
		return err
	}
	var got strings.Builder
	for _, line := range strings.Split(strings.TrimRight(printed, "\n"), "\n") {
		got.WriteString(normal(line) + "\n")
	}
	if !pattern.MatchString(got.String()) {
		return fmt.Errorf("the document shows\n%s\nbut the command printed\n%s", strings.Join(c.Output, "\n"), printed)
	}
	return nil
}

// normal replaces what may differ between runs: times, and the widths of columns.
func normal(line string) string {
	return strings.TrimSpace(blanks.ReplaceAllString(times.ReplaceAllString(line, "TIME"), " "))
}
