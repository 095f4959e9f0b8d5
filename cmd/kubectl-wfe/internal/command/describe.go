package command

import (
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/describe"
)

func (s *session) newDescribe() *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		GroupID:           groupInspect,
		Short:             "Show the details of an execution and its events",
		Example:           examples("kubectl wfe describe payment-api-oom", "kubectl wfe describe @latest -n production"),
		Args:              nameArgument(1),
		ValidArgsFunction: s.executions(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, wfe, err := s.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			events, err := c.kube.CoreV1().Events(wfe.Namespace).List(cmd.Context(), metav1.ListOptions{
				FieldSelector: fields.Set{"involvedObject.uid": string(wfe.UID)}.String(),
			})
			if err != nil {
				s.warn("cannot list the events: %s", explain(err))
				events = &corev1.EventList{}
			}
			drawing := s.drawing()
			drawing.Width = 0
			return describe.Write(s.Streams.Out, wfe, events.Items, drawing)
		},
	}
}
