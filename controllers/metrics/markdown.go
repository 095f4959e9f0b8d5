package metrics

import (
	"strconv"
	"strings"
)

//go:generate go test -run ^TestReadme$ . -update

// MarkdownTable returns the table of all metrics as Markdown, one line for each metric.
func MarkdownTable() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning | buckets |\n")
	b.WriteString("|---|---|---|---|---|\n")
	for _, metric := range Table() {
		cells := []string{
			"`" + metric.Name + "`", string(metric.Type), labelCell(metric.Labels), metric.Help, bucketCell(metric.Buckets),
		}
		for _, cell := range cells {
			b.WriteString("| ")
			if cell != "" {
				// A bare pipe would end the cell.
				b.WriteString(strings.ReplaceAll(cell, "|", `\|`) + " ")
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// labelCell lists labels, each with its closed set of values, if any.
func labelCell(labels []Label) string {
	parts := make([]string, len(labels))
	for i, label := range labels {
		parts[i] = "`" + label.Name + "`"
		if len(label.Values) > 0 {
			parts[i] += " (" + strings.Join(label.Values, ", ") + ")"
		}
	}
	return strings.Join(parts, "; ")
}

// bucketCell lists the bounds of the classic buckets.
func bucketCell(bounds []float64) string {
	parts := make([]string, len(bounds))
	for i, bound := range bounds {
		parts[i] = strconv.FormatFloat(bound, 'g', -1, 64)
	}
	return strings.Join(parts, ", ")
}
