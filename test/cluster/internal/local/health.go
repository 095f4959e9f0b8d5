package local

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 200 * time.Millisecond
	callTimeout   = 5 * time.Second
)

func newClient(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	config.Timeout = callTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	return client, nil
}

// waitUntil repeats a check until it succeeds. It fails when a component ends, because nothing restarts components.
func (s *starter) waitUntil(ctx context.Context, what string, check func(context.Context) error) error {
	for deadline := time.Now().Add(readyTimeout); ; {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ended := s.checkRunning(); ended != nil {
			return fmt.Errorf("wait until %s: %w", what, ended)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait until %s: after %s: %w", what, readyTimeout, err)
		}
		if err := pause(ctx, readyInterval); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}

// checkServer checks whether the API server is ready.
func checkServer(client kubernetes.Interface) func(context.Context) error {
	return func(ctx context.Context) error {
		answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Raw()
		if err == nil {
			return nil
		}
		if failed := failedChecks(string(answer)); len(failed) > 0 {
			return fmt.Errorf("not ready: %s", strings.Join(failed, ", "))
		}
		return err
	}
}

// failedChecks returns the names of failed checks in an answer of the API server, which lists all checks.
func failedChecks(answer string) []string {
	var failed []string
	for line := range strings.Lines(answer) {
		if check, isFailed := strings.CutPrefix(line, "[-]"); isFailed {
			name, _, _ := strings.Cut(check, " ")
			failed = append(failed, name)
		}
	}
	return failed
}

// checkNodes checks whether the nodes are ready for pods, and whether the namespace "default" has its service account.
func checkNodes(client kubernetes.Interface, nodes []string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range nodes {
			node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, condition := range node.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
					return fmt.Errorf("node %s is not ready: %s", name, condition.Message)
				}
			}
			if len(node.Spec.Taints) > 0 {
				return fmt.Errorf("node %s has taint %s", name, node.Spec.Taints[0].Key)
			}
		}
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	}
}

// bindings are the rights that "kubeadm init" grants in a later phase: those of the administrators whose credentials it creates, and those
// of the API server for calls to the kubelet, such as for logs.
var bindings = []rbacv1.ClusterRoleBinding{
	{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadm:cluster-admins"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "kubeadm:cluster-admins"}},
	},
	{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadm:apiserver-kubelet-client"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kubelet-api-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "kube-apiserver-kubelet-client"}},
	},
}

// grantRights creates the bindings, with credentials that do not need them.
func grantRights(super kubernetes.Interface) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, binding := range bindings {
			_, err := super.RbacV1().ClusterRoleBindings().Create(ctx, &binding, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
		return nil
	}
}

// pause waits for a duration. It returns the cause if the context ends.
func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(duration):
		return nil
	}
}
