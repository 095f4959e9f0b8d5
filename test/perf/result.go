package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Result is one measured value. A result without a target is for information.
type Result struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target"`
	OK     bool    `json:"ok"`
}

// atMost is a result with an upper bound.
func atMost(name string, value, bound float64, unit string) Result {
	return Result{Name: name, Value: value, Unit: unit, Target: fmt.Sprintf("≤ %v", bound), OK: value <= bound}
}

// atLeast is a result with a lower bound.
func atLeast(name string, value, bound float64) Result {
	return Result{Name: name, Value: value, Target: fmt.Sprintf("≥ %v", bound), OK: value >= bound}
}

// info is a result without a target.
func info(name string, value float64, unit string) Result {
	return Result{Name: name, Value: value, Unit: unit, OK: true}
}

func (r Result) String() string {
	verdict := ""
	if r.Target != "" {
		verdict = map[bool]string{true: "ok", false: "MISSED"}[r.OK]
	}
	return strings.TrimRight(fmt.Sprintf("%-64s %12s %-12s %-10s %s", r.Name, format(r.Value), r.Unit, r.Target, verdict), " ")
}

// printTable writes the recorded results as a Markdown table.
func printTable(to io.Writer, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var results []Result
	if err := json.Unmarshal(content, &results); err != nil {
		return err
	}
	fmt.Fprintln(to, "| what | value | target |\n|---|---|---|")
	for _, r := range results {
		target := r.Target
		if !r.OK {
			target += ", **missed**"
		}
		fmt.Fprintf(to, "| %s | %s | %s |\n", r.Name, strings.TrimSpace(format(r.Value)+" "+r.Unit), target)
	}
	return nil
}

// format writes a value with three significant digits.
func format(value float64) string {
	text := fmt.Sprintf("%.3g", value)
	if strings.Contains(text, "e") {
		return fmt.Sprintf("%.0f", value)
	}
	return text
}

// record writes results into a file and replaces earlier results of the same names.
func record(path string, results []Result) error {
	var known []Result
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &known)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read earlier results: %w", err)
	}
	at := map[string]int{}
	for i := range known {
		at[known[i].Name] = i
	}
	for _, result := range results {
		if i, ok := at[result.Name]; ok {
			known[i] = result
			continue
		}
		at[result.Name] = len(known)
		known = append(known, result)
	}
	return write(path, known)
}

// write writes a value as JSON.
func write(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644) //nolint:gosec // results are not secret
}
