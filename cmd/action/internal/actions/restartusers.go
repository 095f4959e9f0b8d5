package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	wfev1 "github.com/kubernaut-io/workflowexecution/api/v1alpha1"
	"github.com/kubernaut-io/workflowexecution/cmd/action/internal/contract"
)

// parameterRestart lists the workloads that use a ConfigMap or Secret: their pods read it only when they start.
const parameterRestart = "restart"

func restartParameter() contract.Parameter {
	return contract.Parameter{
		Name: parameterRestart, Check: workloadNames,
		Description: "The workloads to restart after the change, like deployment/payment-api,statefulset/ledger. " +
			"The step then also needs the role of restart-deployment, restart-statefulset or restart-daemonset.",
	}
}

func workloadNames(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		kind, name, _ := strings.Cut(strings.TrimSpace(word), "/")
		if kind != "deployment" && kind != "statefulset" && kind != "daemonset" || contract.ObjectName(name) != nil {
			return errors.New("must be workloads like deployment/payment-api,statefulset/ledger")
		}
	}
	return nil
}

// restartUsers restarts the workloads of the parameter restart, one after the other.
func restartUsers(ctx context.Context, s *contract.Step) error {
	if s.String(parameterRestart) == "" {
		return nil
	}
	for word := range strings.SplitSeq(s.String(parameterRestart), ",") {
		kind, name, _ := strings.Cut(strings.TrimSpace(word), "/")
		var err error
		switch kind {
		case "deployment":
			err = restartUser(ctx, s, deployments(s), name)
		case "statefulset":
			err = restartUser(ctx, s, statefulSets(s), name)
		default:
			err = restartUser(ctx, s, daemonSets(s), name)
		}
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ") {
			return &contract.Failure{
				Reason: wfev1.ReasonForbidden, Code: contract.ExitNever, Err: err,
				Message: fmt.Sprintf("%s; bind ClusterRole %s to the step's service account with a RoleBinding", err, contract.RoleName("restart-"+kind)),
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func restartUser[T object, L runtime.Object](ctx context.Context, s *contract.Step, w workload[T, L], name string) error {
	result, _, err := write(ctx, s, w.client, w.kind, name, w.planRollout(name, planRestart(s, w)))
	if err != nil {
		return err
	}
	return w.awaitRollout(ctx, s, result)
}
