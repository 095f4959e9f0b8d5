package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/catalog"
)

func (s *session) newSubmit() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "submit -f FILE",
		GroupID: groupControl,
		Short:   "Check the executions in a file and create them",
		Long: `Checks the executions in files against the cluster's actions, as lint does with the built-in ones, and creates them if there
are no problems. With --watch it follows the execution until it finishes; the exit code is that of watch.`,
		Example: examples("kubectl wfe submit -f remediation.yaml --watch", "kubectl wfe submit -f remediation.yaml --dry-run"),
		Args:    cobra.ArbitraryArgs,
	}
	f := s.newManifests(cmd)
	f.addCatalog(cmd)
	f.addArguments(cmd)
	k := s.newCreation(cmd)
	scope := addCatalogScope(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := k.check(); err != nil {
			return err
		}
		f.names = append(f.names, args...)
		c, err := s.connect()
		if err != nil {
			return err
		}
		found, err := f.check(func() (*catalog.Catalog, error) {
			known, _, err := s.catalogOrBuiltIn(cmd, scope)
			if err != nil {
				return nil, err
			}
			return f.withFolder(known)
		})
		if err != nil {
			return err
		}
		if err := f.report(s.Streams.ErrOut, found.problems); err != nil {
			return err
		}
		if k.watch && len(found.valid) > 1 {
			return fmt.Errorf("--watch follows a single execution, and the files have %d", len(found.valid))
		}
		for i := range found.valid {
			if err := s.submit(cmd.Context(), c, k, found.valid[i].WFE); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (s *session) submit(ctx context.Context, c *connection, k *creation, wfe *wfev1.WorkflowExecution) error {
	made := newExecution(wfe)
	switch explicit := *s.config.Namespace; {
	case made.Namespace == "":
		made.Namespace = c.namespace
	case explicit != "" && explicit != made.Namespace:
		return fmt.Errorf("the file sets namespace %q for %q, but --namespace is %q", made.Namespace, nameOf(made), explicit)
	}
	err := k.create(ctx, c, made)
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%q already exists in namespace %q, and an execution runs only once: run it again with kubectl wfe rerun %[1]s, or set another name", made.Name, made.Namespace)
	}
	if err != nil {
		return err
	}
	return k.finish(ctx, c, made, "")
}

// newExecution returns an execution without the fields that the API server and the controller set.
func newExecution(wfe *wfev1.WorkflowExecution) *wfev1.WorkflowExecution {
	made := &wfev1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{
			Name: wfe.Name, GenerateName: wfe.GenerateName, Namespace: wfe.Namespace, Labels: wfe.Labels, Annotations: wfe.Annotations,
		},
		Spec: *wfe.Spec.DeepCopy(),
	}
	if made.GenerateName != "" && made.Name == made.GenerateName+generatedSuffix {
		made.Name = ""
	}
	return made
}

// generatedSuffix is the suffix that package lint shows for a generated name.
const generatedSuffix = "xxxxx"

// errNoFile is the error of a command without a file.
var errNoFile = errors.New("must specify a file with -f FILE, or -f - for standard input")
