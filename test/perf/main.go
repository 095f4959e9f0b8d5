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
	// definitions are what Workflows are to the API server.
	definitions testutil.Definitions
	// table says that results are printed, and nothing is measured.
	table bool
	// profiles says whether profiles are kept in the folder.
	profiles bool
}

// measurement is one thing that is measured.
type measurement struct {
	name    string
	measure func(context.Context, *settings) ([]Result, error)
	// onCluster says that it needs the cluster of KUBECONFIG, and is made only when it is named.
	onCluster bool
}

// isWanted reports whether a measurement is to be made.
func (m *measurement) isWanted(only string) bool {
	if only == "" {
		return !m.onCluster
	}
	return slices.Contains(strings.Split(only, ","), m.name)
}

var measurements = []measurement{
	{name: "translate", measure: measureTranslation},
	{name: "status", measure: measureStatus},
	{name: "create", measure: measureCreation},
	{name: "writes", measure: measureWrites},
	{name: "signal", measure: measureSignal},
	{name: "memory", measure: measureMemory},
	{name: "cold", measure: measureColdStart},
	{name: "scrape", measure: measureScrape},
	{name: "whole", measure: measureWhole, onCluster: true},
	{name: "argo", measure: measureArgo, onCluster: true},
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
	f.StringVar(&s.only, "only", "", "Names of the measurements to make, with commas between; empty for all that need no cluster.")
	f.IntVar(&s.count, "count", 1000, "How many executions there are.")
	minimal := f.Bool("minimal", false, "Install Argo's minimal definitions, in which Workflows have no schema, in place of the full ones.")
	f.StringVar(&s.folder, "folder", filepath.Join(root, ".bench"), "Folder of results and profiles.")
	f.BoolVar(&s.profiles, "profiles", true, "Keep profiles in the folder.")
	f.BoolVar(&s.table, "table", false, "Print what was measured as a table for README.md, and measure nothing.")
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

// measure makes the measurements that are asked for, and records each as soon as it is made. The error says how many
// targets were missed.
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
