package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/lint"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// files are the flags of the commands that read executions from manifests.
type files struct {
	session *session
	names   []string
	folder  string
}

func (s *session) newFiles(cmd *cobra.Command) *files {
	f := &files{session: s}
	cmd.Flags().StringSliceVarP(&f.names, "filename", "f", nil, "File with executions, - for the standard input, or a folder with such files.")
	mustComplete(cmd, "filename", completeManifests)
	return f
}

func (f *files) addCatalog(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.folder, "catalog", "", "Folder with templates of actions; they are used beside the built-in ones, and win over them.")
	mustComplete(cmd, "catalog", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}

func completeManifests(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// catalog is the built-in actions, with those of the folder on top.
func (f *files) catalog() (*catalog.Catalog, error) {
	builtIn, err := catalog.BuiltIn()
	if err != nil || f.folder == "" {
		return builtIn, err
	}
	own, err := catalog.FromFolder(f.folder)
	if err != nil {
		return nil, err
	}
	for _, problem := range own.Problems {
		f.session.warn("%s: %s", f.folder, problem)
	}
	return own.Over(builtIn), nil
}

// checked is what was found in files.
type checked struct {
	known    translate.Catalog
	valid    []lint.Valid
	problems []lint.Problem
}

// check reads the executions of all files and checks them against the catalog that load loads. An error is about the
// files themselves.
func (f *files) check(load func() (*catalog.Catalog, error)) (*checked, error) {
	if len(f.names) == 0 {
		return nil, errors.New("name a file: -f FILE, or -f - for the standard input")
	}
	loaded, err := load()
	if err != nil {
		return nil, err
	}
	found := &checked{known: loaded.Actions()}
	checker, err := lint.NewChecker(found.known)
	if err != nil {
		return nil, err
	}
	names, err := expand(f.names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		content, err := f.read(name)
		if err != nil {
			return nil, err
		}
		good, bad := checker.Check(name, content)
		found.valid, found.problems = append(found.valid, good...), append(found.problems, bad...)
	}
	if len(found.valid)+len(found.problems) == 0 {
		return nil, fmt.Errorf("there is no WorkflowExecution in %v", f.names)
	}
	return found, nil
}

func (f *files) read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(f.session.Streams.In)
	}
	return os.ReadFile(name)
}

// expand replaces folders by the manifests in them.
func expand(names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
			all = append(all, name) // reading it tells what is wrong with it
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

// report writes the problems and is the error that ends the command if there are any.
func (f *files) report(out io.Writer, problems []lint.Problem) error {
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	if len(problems) == 0 {
		return nil
	}
	return &codeError{code: exitError}
}
