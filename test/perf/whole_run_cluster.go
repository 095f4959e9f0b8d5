package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// simulatedNode is the name of the node whose pods KWOK simulates.
const simulatedNode = "simulated"

// cluster is the cluster of KUBECONFIG, with Argo and the controller installed.
type cluster struct {
	*testutil.Cluster
	watcher client.WithWatch
	catalog translate.Catalog
	ns      string
	folder  string
	ends    []func() error
}

// newCluster connects to the cluster and creates a namespace, which end deletes.
func newCluster(ctx context.Context) (c *cluster, err error) {
	c = &cluster{}
	if c.Cluster, err = testutil.Connect(); err != nil {
		return nil, err
	}
	if c.watcher, err = client.NewWithWatch(c.Config, client.Options{Scheme: c.Scheme()}); err != nil {
		return nil, err
	}
	if c.catalog, err = readCatalog(); err != nil {
		return nil, err
	}
	if c.folder, err = os.MkdirTemp("", "perf-"); err != nil {
		return nil, err
	}
	c.ends = append(c.ends, func() error { return os.RemoveAll(c.folder) })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "perf-"}}
	if err := c.Create(ctx, namespace); err != nil {
		return nil, errors.Join(err, c.end())
	}
	c.ns = namespace.Name
	c.ends = append(c.ends, func() error { return c.remove(context.WithoutCancel(ctx), namespace) })
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: "default"}}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: "step"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "workflowexecution-step"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.ns, Name: account.Name}},
	}
	err = errors.Join(client.IgnoreAlreadyExists(c.Create(ctx, account)), c.Create(ctx, binding))
	if err != nil {
		return nil, errors.Join(err, c.end())
	}
	return c, nil
}

// remove deletes a namespace and waits until it is gone, so that its deletion does not disturb the next measurement.
func (c *cluster) remove(ctx context.Context, namespace *corev1.Namespace) error {
	if err := c.Delete(ctx, namespace); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// end undoes what was set up, in reverse order.
func (c *cluster) end() error {
	var errs []error
	for i := len(c.ends) - 1; i >= 0; i-- {
		errs = append(errs, c.ends[i]())
	}
	c.ends = nil
	return errors.Join(errs...)
}

// program is the path of a program that test/cluster builds.
func program(ctx context.Context, name string) (string, error) {
	root, err := testutil.Root()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "run", "-C", filepath.Join(root, "test", "cluster"), ".", "program-path", name)
	command.Stderr = os.Stderr
	path, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return strings.TrimSpace(string(path)), nil
}

// simulateNode adds a node that KWOK simulates and cordons the real nodes. It returns a function that undoes both.
func (c *cluster) simulateNode(ctx context.Context) (func() error, error) {
	kwok, err := program(ctx, "kwok")
	if err != nil {
		return nil, err
	}
	root, err := testutil.Root()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.folder, "kwok.log"))
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	process := exec.Command(kwok, "--kubeconfig="+os.Getenv("KUBECONFIG"), "--config="+filepath.Join(root, "test", "cluster", "internal", "local", "kwok", "stages.yaml"),
		"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40", "--server-address="+address)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return nil, err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: simulatedNode, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}}}
	undo := func() error {
		ctx := context.WithoutCancel(ctx)
		errs := []error{c.cordon(ctx, false), client.IgnoreNotFound(c.Delete(ctx, node)), process.Process.Kill()}
		_ = process.Wait() // the process was killed
		return errors.Join(append(errs, log.Close())...)
	}
	err = errors.Join(c.Create(ctx, node), c.cordon(ctx, true))
	if err == nil {
		err = until(ctx, func() (bool, error) {
			err := c.Get(ctx, client.ObjectKeyFromObject(node), node)
			return err == nil && len(node.Spec.Taints) == 0 && node.Status.Phase == corev1.NodeRunning, err
		})
	}
	if err != nil {
		output, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("simulate a node: %w\n%s", err, output), undo())
	}
	return undo, nil
}

// cordon closes the real nodes to new pods, or opens them.
func (c *cluster) cordon(ctx context.Context, closed bool) error {
	nodes := &corev1.NodeList{}
	if err := c.List(ctx, nodes); err != nil {
		return err
	}
	var errs []error
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if node.Name == simulatedNode {
			continue
		}
		was := node.DeepCopy()
		node.Spec.Unschedulable = closed
		errs = append(errs, c.Patch(ctx, node, client.MergeFrom(was)))
	}
	return errors.Join(errs...)
}
