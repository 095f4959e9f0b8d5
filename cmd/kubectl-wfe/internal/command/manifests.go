package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// manifests reads executions from the files of --filename.
type manifests struct {
	session *session
	names   []string
	folder  string
}

func (s *session) newManifests(cmd *cobra.Command) *manifests {
	f := &manifests{session: s}
	cmd.Flags().StringSliceVarP(&f.names, "filename", "f", nil, "File or folder with executions; - reads standard input.")
	mustComplete(cmd, "filename", completeManifests)
	return f
}

func (f *manifests) addCatalog(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.folder, "catalog", "", "Folder with action templates, which add to the built-in actions and override those of the same name.")
	mustComplete(cmd, "catalog", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}

func completeManifests(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// catalog returns the built-in actions and those in the folder of --catalog.
func (f *manifests) catalog() (*catalog.Catalog, error) {
	builtIn, err := catalog.BuiltIn()
	if err != nil {
		return nil, err
	}
	return f.withFolder(builtIn)
}

// withFolder returns a catalog and the actions in the folder of --catalog.
func (f *manifests) withFolder(base *catalog.Catalog) (*catalog.Catalog, error) {
	if f.folder == "" {
		return base, nil
	}
	own, err := catalog.FromFolder(f.folder)
	if err != nil {
		return nil, err
	}
	for _, problem := range own.Problems {
		f.session.warn("%s: %s", f.folder, problem)
	}
	return own.Over(base), nil
}

// lintResult has the valid executions and the problems in files.
type lintResult struct {
	known    translate.Catalog
	valid    []lint.Valid
	problems []lint.Problem
}

// check checks the executions in all files against the catalog that load returns. An error means that a file cannot be
// read.
func (f *manifests) check(load func() (*catalog.Catalog, error)) (*lintResult, error) {
	if len(f.names) == 0 {
		return nil, errNoFile
	}
	loaded, err := load()
	if err != nil {
		return nil, err
	}
	found := &lintResult{known: loaded.Actions()}
	checker, err := lint.NewChecker(found.known)
	if err != nil {
		return nil, err
	}
	names, err := expandFolders(f.names)
	if err != nil {
		return nil, err
	}
	var kinds []string
	for _, name := range names {
		content, err := f.read(name)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, lint.Kinds(content)...)
		good, bad := checker.Check(name, content)
		found.valid, found.problems = append(found.valid, good...), append(found.problems, bad...)
	}
	if len(found.valid)+len(found.problems) == 0 {
		return nil, noExecution(f.names, kinds)
	}
	return found, nil
}

// noExecution is the error for files without an execution, with the kinds that they have.
func noExecution(names, kinds []string) error {
	read := slices.Clone(names)
	for i := range read {
		if read[i] == "-" {
			read[i] = "standard input"
		}
	}
	files := strings.Join(read, ", ")
	switch similar := lint.SimilarKind(kinds); {
	case similar != "":
		return fmt.Errorf("no WorkflowExecution found in %s: it contains kind %q; did you mean %q?", files, similar, wfev1.Kind)
	case len(kinds) > 0:
		return fmt.Errorf("no WorkflowExecution found in %s: it contains %s", files, strings.Join(kinds, ", "))
	}
	return fmt.Errorf("no WorkflowExecution found in %s: it contains no objects", files)
}

// addArguments adds the positional form of -f to the usage of a command.
func (f *manifests) addArguments(cmd *cobra.Command) {
	cmd.Use = strings.Replace(cmd.Use, "-f FILE", "FILE... | -f FILE", 1)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeManifests(nil, nil, "")
	}
}

func (f *manifests) read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(f.session.Streams.In)
	}
	return os.ReadFile(name)
}

// expandFolders replaces folders with the manifests in them.
func expandFolders(names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
			all = append(all, name) // reading it returns the error
			continue
		}
		for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
			found, err := filepath.Glob(filepath.Join(name, pattern))
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// report writes the problems. It returns an error for the exit code if there are any.
func (f *manifests) report(out io.Writer, problems []lint.Problem) error {
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	if len(problems) == 0 {
		return nil
	}
	return &codeError{code: exitError}
}

// fromManifestsOrCluster returns the executions of -f, checked against a catalog, or the execution that the argument names.
func (s *session) fromManifestsOrCluster(cmd *cobra.Command, f *manifests, args []string, load func() (*catalog.Catalog, error)) ([]*wfev1.WorkflowExecution, error) {
	if (len(args) == 1) == (len(f.names) > 0) {
		return nil, errors.New("must specify either the NAME of an execution or a file with -f")
	}
	if len(args) == 1 {
		_, wfe, err := s.open(cmd.Context(), args[0])
		if err != nil {
			return nil, err
		}
		return []*wfev1.WorkflowExecution{wfe}, nil
	}
	found, err := f.check(load)
	if err != nil {
		return nil, err
	}
	if err := f.report(s.Streams.ErrOut, found.problems); err != nil {
		return nil, err
	}
	executions := make([]*wfev1.WorkflowExecution, len(found.valid))
	for i := range found.valid {
		executions[i] = found.valid[i].WFE
	}
	return executions, nil
}
