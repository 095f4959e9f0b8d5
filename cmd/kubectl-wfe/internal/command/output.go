package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// The formats of -o.
const (
	formatJSON = "json"
	formatYAML = "yaml"
	formatWide = "wide"
)

// output is the flag -o of a command.
type output struct {
	format  string
	allowed []string
	printer printers.ResourcePrinter
}

// newOutput adds -o to a command, with its allowed formats and its default.
func newOutput(cmd *cobra.Command, preset string, allowed ...string) *output {
	o := &output{allowed: allowed}
	cmd.Flags().StringVarP(&o.format, "output", "o", preset, "Output format: "+strings.Join(allowed, ", ")+".")
	mustComplete(cmd, "output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return allowed, cobra.ShellCompDirectiveNoFileComp
	})
	previous := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if o.format != "" && !slices.Contains(allowed, o.format) {
			return fmt.Errorf("-o %s: use %s", o.format, strings.Join(allowed, ", "))
		}
		if previous != nil {
			return previous(cmd, args)
		}
		return nil
	}
	return o
}

// isObject reports whether the format prints the object itself.
func (o *output) isObject() bool { return o.format == formatJSON || o.format == formatYAML }

// print prints an object. The printer separates YAML documents.
func (o *output) print(object runtime.Object, out io.Writer) error {
	if o.printer == nil {
		printer, err := genericclioptions.NewJSONYamlPrintFlags().ToPrinter(o.format)
		if err != nil {
			return err
		}
		o.printer = printer
	}
	return o.printer.PrintObj(object, out)
}

// column is a column of a table; wide columns need -o wide.
type column struct {
	name string
	wide bool
}

// table prints rows in columns. Later calls of print continue it: with the same column widths and without the headers.
type table struct {
	columns []metav1.TableColumnDefinition
	printer printers.ResourcePrinter
	out     interface {
		io.Writer
		Flush() error
	}
}

func (o *output) newTable(out io.Writer, columns []column) *table {
	t := &table{
		printer: printers.NewTablePrinter(printers.PrintOptions{Wide: o.format == formatWide}),
		out:     printers.GetNewTabWriter(out),
	}
	for _, c := range columns {
		definition := metav1.TableColumnDefinition{Name: c.name, Type: "string"}
		if c.wide {
			definition.Priority = 1
		}
		t.columns = append(t.columns, definition)
	}
	return t
}

func (t *table) print(rows [][]any) error {
	part := &metav1.Table{ColumnDefinitions: t.columns}
	for _, row := range rows {
		part.Rows = append(part.Rows, metav1.TableRow{Cells: row})
	}
	if err := t.printer.PrintObj(part, t.out); err != nil {
		return err
	}
	return t.out.Flush()
}

// namesOf formats a list of names for a message.
func namesOf(names []string) string { return fmt.Sprintf("%q", names) }

// printValue prints a value that is not a Kubernetes object as JSON or YAML.
func (s *session) printValue(o *output, value any) error {
	encoded, err := json.MarshalIndent(value, "", "    ")
	if err == nil && o.format == formatYAML {
		encoded, err = yaml.JSONToYAML(encoded)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Streams.Out, string(encoded))
	return err
}
