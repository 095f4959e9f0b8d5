package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// settings are the flags.
type settings struct {
	only   string
	count  int
	folder string
	// definitions selects Argo's CustomResourceDefinitions.
	definitions testutil.Definitions
	// table prints recorded results and measures nothing.
	table bool
	// profiles stores profiles in the folder.
	profiles bool
}

// measurement is a named group of results.
type measurement struct {
	name    string
	measure func(context.Context, *settings) ([]Result, error)
	// onCluster marks a measurement that needs the cluster of KUBECONFIG and runs only when it is named.
	onCluster bool
}

// isWanted reports whether the flag -only selects a measurement.
func (m *measurement) isWanted(only string) bool {
	if only == "" {
		return !m.onCluster
	}
	return slices.Contains(strings.Split(only, ","), m.name)
}

var measurements = []measurement{
	{name: "translate", measure: measureTranslation},
	{name: "status", measure: measureStatusMapping},
	{name: "create", measure: measureCreatePath},
	{name: "writes", measure: measureWrites},
	{name: "memory", measure: measureMemory},
	{name: "cold", measure: measureColdStart},
	{name: "scrape", measure: measureScrape},
	{name: "whole", measure: measureWholeRuns, onCluster: true},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measureAll(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "perf:", err)
		os.Exit(1)
	}
}

func measureAll(ctx context.Context, args []string) error {
	root, err := testutil.Root()
	if err != nil {
		return err
	}
	s := &settings{}
	f := flag.NewFlagSet("perf", flag.ContinueOnError)
	f.StringVar(&s.only, "only", "", "Comma-separated names of the measurements; empty for all that need no cluster.")
	f.IntVar(&s.count, "count", 1000, "Number of executions.")
	minimal := f.Bool("minimal", false, "Install Argo's minimal CustomResourceDefinitions, which have no schema, instead of the full ones.")
	f.StringVar(&s.folder, "folder", filepath.Join(root, ".bench"), "Folder for results and profiles.")
	f.BoolVar(&s.profiles, "profiles", true, "Store profiles in the folder.")
	f.BoolVar(&s.table, "table", false, "Print the recorded results as a table for README.md and measure nothing.")
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.definitions = testutil.Full; *minimal {
		s.definitions = testutil.Minimal
	}
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	if s.table {
		return printTable(os.Stdout, filepath.Join(s.folder, "results.json"))
	}
	where := environment()
	for _, name := range sorted(where) {
		fmt.Fprintf(os.Stdout, "%s: %s\n", name, where[name])
	}
	if err := write(filepath.Join(s.folder, "environment.json"), where); err != nil {
		return err
	}
	return s.measure(ctx)
}

// measure runs the selected measurements and records each when it is complete. The error contains the number of missed
// targets.
func (s *settings) measure(ctx context.Context) error {
	missed := 0
	for _, m := range measurements {
		if !m.isWanted(s.only) {
			continue
		}
		results, err := m.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for i := range results {
			result := &results[i]
			if s.definitions == testutil.Minimal && !m.onCluster {
				result.Name = "minimal definitions: " + result.Name
			}
			fmt.Fprintln(os.Stdout, result)
			if !result.OK {
				missed++
			}
		}
		if err := record(filepath.Join(s.folder, "results.json"), results); err != nil {
			return err
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d targets are missed", missed)
	}
	return nil
}

func sorted[value any](m map[string]value) []string { return slices.Sorted(maps.Keys(m)) }
