package command

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// addCatalogScope adds the flags that select the sources of the cluster's actions.
func addCatalogScope(cmd *cobra.Command) *catalog.Scope {
	scope := &catalog.Scope{}
	cmd.Flags().BoolVar(&scope.NamespacedActions, "namespaced-actions", false, "Include the WorkflowTemplates of the namespace. Must match the controller's flag.")
	cmd.Flags().StringVar(&scope.CatalogNamespace, "catalog-namespace", "", "Namespace whose WorkflowTemplates replace the ClusterWorkflowTemplates. Must match the controller's flag.")
	return scope
}

func (s *session) newActions() *cobra.Command {
	f := &manifests{session: s}
	var offline bool
	cmd := &cobra.Command{
		Use:     "actions [NAME]",
		GroupID: groupInspect,
		Short:   "List the actions that steps can name, with their parameters",
		Long: `Lists the actions in the cluster's catalog, or describes one action. --offline lists the built-in actions instead, and
--catalog adds the actions in a folder; neither needs a cluster.`,
		Example: examples("kubectl wfe actions", "kubectl wfe actions scale-deployment", "kubectl wfe actions --offline -o wide"),
		Args:    optionalArguments(1),
	}
	f.addCatalog(cmd)
	cmd.Flags().BoolVar(&offline, "offline", false, "List the built-in actions.")
	scope := addCatalogScope(cmd)
	o := newOutput(cmd, "", formatJSON, formatYAML, formatWide)
	load := func(cmd *cobra.Command) (*catalog.Catalog, error) {
		if offline || f.folder != "" {
			return f.catalog()
		}
		return s.clusterCatalog(cmd, scope)
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		known, err := load(cmd)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, entry := range known.Entries {
			names = append(names, entry.Name)
		}
		return withPrefix(names, prefix), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		known, err := load(cmd)
		if err != nil {
			return err
		}
		roles, err := catalog.BuiltInRoles()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return s.printActions(o, known.Entries, roles)
		}
		entry := known.Find(args[0])
		if entry == nil {
			return fmt.Errorf("action %q is not in the catalog: list the actions with kubectl wfe actions", args[0])
		}
		if o.isObject() {
			return s.printValue(o, describeAction(entry, roles))
		}
		return s.printAction(describeAction(entry, roles))
	}
	return cmd
}

// clusterCatalog returns the cluster's catalog and warns of its invalid templates.
func (s *session) clusterCatalog(cmd *cobra.Command, scope *catalog.Scope) (*catalog.Catalog, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	known, err := catalog.FromCluster(cmd.Context(), c, c.namespace, *scope)
	if err != nil {
		return nil, err
	}
	for _, problem := range known.Problems {
		s.warn("%s", problem)
	}
	return known, nil
}

// catalogOrBuiltIn returns the cluster's catalog, or the built-in actions for a user without permission to read cluster
// scoped templates. In that case complete is false.
func (s *session) catalogOrBuiltIn(cmd *cobra.Command, scope *catalog.Scope) (known *catalog.Catalog, complete bool, err error) {
	known, err = s.clusterCatalog(cmd, scope)
	if !apierrors.IsForbidden(err) {
		return known, err == nil, err
	}
	s.warn("no permission to list the cluster's actions: using the built-in actions only")
	known, err = catalog.BuiltIn()
	return known, false, err
}

func (s *session) printActions(o *output, entries []*translate.Action, roles map[string]catalog.Role) error {
	if o.isObject() {
		all := make([]action, len(entries))
		for i := range entries {
			all[i] = describeAction(entries[i], roles)
		}
		return s.printValue(o, all)
	}
	if len(entries) == 0 {
		s.warn("the catalog is empty")
		return nil
	}
	rows := make([][]any, 0, len(entries))
	for i := range entries {
		entry := entries[i]
		var required, optional, outputs []string
		for j := range entry.Parameters {
			p := &entry.Parameters[j]
			switch {
			case isSetByController(p.Name):
			case p.Default == nil:
				required = append(required, p.Name)
			default:
				optional = append(optional, p.Name)
			}
		}
		for j := range entry.Outputs {
			outputs = append(outputs, entry.Outputs[j].Name)
		}
		rows = append(rows, []any{
			entry.Name, strings.Join(required, ","), strings.Join(optional, ","),
			strings.Join(outputs, ","), entry.Source, oneLine(entry.Summary),
		})
	}
	columns := []column{
		{name: "NAME"}, {name: "REQUIRED"}, {name: "OPTIONAL"},
		{name: "OUTPUTS", wide: true}, {name: "SOURCE", wide: true}, {name: "DOES", wide: true},
	}
	return o.newTable(s.Streams.Out, columns).print(rows)
}

// isSetByController reports whether the controller sets the value of a parameter.
func isSetByController(parameter string) bool {
	return parameter == translate.ParameterStep || parameter == translate.ParameterDryRun
}

// action is the JSON and YAML form of an action.
type action struct {
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
	Source  string `json:"source"`
	// Role is the ClusterRole that the step's service account needs, Binding the kind of its binding, and Undo the way to
	// undo the action; empty for an action that is not built in.
	Role       string      `json:"role,omitempty"`
	Binding    string      `json:"binding,omitempty"`
	Undo       string      `json:"undo,omitempty"`
	Parameters []parameter `json:"parameters"`
	Outputs    []parameter `json:"outputs"`
}

type parameter struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Default     *string  `json:"default,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Base64      bool     `json:"base64,omitempty"`
}

func describeAction(entry *translate.Action, roles map[string]catalog.Role) action {
	a := action{Name: entry.Name, Summary: entry.Summary, Source: entry.Source, Parameters: []parameter{}, Outputs: []parameter{}}
	if role, isBuiltIn := roles[entry.Name]; isBuiltIn && entry.Source == "ClusterWorkflowTemplate/"+entry.Name {
		a.Role, a.Binding, a.Undo = role.Name, role.Binding(), role.Undo
	}
	for i := range entry.Parameters {
		p := &entry.Parameters[i]
		if !isSetByController(p.Name) {
			a.Parameters = append(a.Parameters, parameter{p.Name, p.Description, p.Default == nil, p.Default, p.Enum, p.Base64})
		}
	}
	for i := range entry.Outputs {
		out := &entry.Outputs[i]
		a.Outputs = append(a.Outputs, parameter{Name: out.Name, Description: out.Description, Base64: out.Base64})
	}
	return a
}

func (s *session) printAction(a action) error {
	w := tabwriter.NewWriter(s.Streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Name:\t%s\nDoes:\t%s\nSource:\t%s\n", a.Name, oneLine(a.Summary), a.Source)
	if a.Role != "" {
		fmt.Fprintf(w, "Role:\tClusterRole %s, with a %s\nUndo:\t%s\n", a.Role, a.Binding, a.Undo)
	}
	fmt.Fprintln(w, "Parameters:")
	for _, p := range a.Parameters {
		need := "required"
		if p.Default != nil {
			need = fmt.Sprintf("default %q", *p.Default)
		}
		if len(p.Enum) > 0 {
			need += ", one of " + strings.Join(p.Enum, ", ")
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Name, need, oneLine(p.Description))
	}
	fmt.Fprintln(w, "Outputs:")
	for _, out := range a.Outputs {
		fmt.Fprintf(w, "  %s\t\t%s\n", out.Name, oneLine(out.Description))
	}
	return w.Flush()
}
