// Package controlplane starts an API server and etcd of their own for a suite, with this repository's CRDs, the
// controller's rights and no more, and Argo's CRDs: no node, no pod, no controller. Both can be stopped and started again
// in between.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// AssetsVariable names the folder with the binaries of the API server and etcd.
	AssetsVariable = "KUBEBUILDER_ASSETS"
	// ControllerUser is who the controller is to the API server.
	ControllerUser = "workflowexecution-controller"
	// patience is for a machine that has other things to do.
	patience = 2 * time.Minute
	// systemNamespace is where the lease is.
	systemNamespace = "workflowexecution-system"
)

// ControlPlane is a running API server and its etcd.
type ControlPlane struct {
	// Admin is everybody but the controller. It has no cache.
	Admin client.WithWatch
	// Config connects Admin.
	Config *rest.Config
	// Controller connects a controller, with the rights of config/rbac.
	Controller *rest.Config
	// Kubeconfig is Controller for a process, AdminKubeconfig is Config.
	Kubeconfig, AdminKubeconfig []byte

	environment *envtest.Environment
	folder      string
	// audited is how much of the audit log Requests has read.
	audited int64
}

// Start starts both and installs this repository's CRDs. Neither waits for the disk unless an option says so.
func Start(ctx context.Context, options ...Option) (c *ControlPlane, err error) {
	if os.Getenv(AssetsVariable) == "" {
		return nil, fmt.Errorf("%s is not set: the binaries of an API server and etcd are needed; make test-envtest and make test-faults build them", AssetsVariable)
	}
	root, err := testutil.Root()
	if err != nil {
		return nil, err
	}
	scheme, err := testutil.NewScheme()
	if err != nil {
		return nil, err
	}
	c = &ControlPlane{environment: &envtest.Environment{
		Scheme: scheme, BinaryAssetsDirectory: os.Getenv(AssetsVariable), ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience,
		CRDDirectoryPaths: []string{filepath.Join(root, "config", "crd")},
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.folder, err = os.MkdirTemp("", "controlplane-"); err != nil {
		return c, err
	}
	// Folders of our own outlive a stop; those that envtest makes do not.
	server := c.environment.ControlPlane.GetAPIServer()
	server.CertDir = filepath.Join(c.folder, "apiserver")
	// It ends when its clients have gone or so much later; they do not go by themselves while they watch.
	server.Configure().Set("request-timeout", "20s")
	c.environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(c.folder, "etcd")}
	for _, folder := range []string{"apiserver", "etcd"} {
		if err := os.Mkdir(filepath.Join(c.folder, folder), 0o700); err != nil {
			return c, err
		}
	}
	if err := c.audit(); err != nil {
		return c, err
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return c, err
		}
	}
	if c.Config, err = c.environment.Start(); err != nil {
		return c, fmt.Errorf("start the API server and etcd of %s: %w", os.Getenv(AssetsVariable), err)
	}
	c.Config.QPS = -1
	if c.Admin, err = client.NewWithWatch(c.Config, client.Options{Scheme: scheme}); err != nil {
		return c, err
	}
	user, err := c.environment.AddUser(envtest.User{Name: ControllerUser}, c.Config)
	if err != nil {
		return c, err
	}
	c.Controller = user.Config()
	if c.Kubeconfig, err = user.KubeConfig(); err != nil {
		return c, err
	}
	c.AdminKubeconfig = c.environment.KubeConfig
	return c, c.grantRights(ctx, root)
}

// Stop ends both for good.
func (c *ControlPlane) Stop() error {
	return errors.Join(c.environment.Stop(), os.RemoveAll(c.folder))
}

// InstallArgo installs Argo's CRDs of a kind.
func (c *ControlPlane) InstallArgo(kind testutil.Definitions) error {
	crds, err := testutil.ArgoDefinitions(kind)
	if err != nil {
		return err
	}
	_, err = envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{Paths: []string{crds}, ErrorIfPathMissing: true})
	return err
}

// StopAPIServer stops the API server alone.
func (c *ControlPlane) StopAPIServer() error { return c.environment.ControlPlane.GetAPIServer().Stop() }

// StartAPIServer starts the API server again, at the same address.
func (c *ControlPlane) StartAPIServer() error {
	return c.environment.ControlPlane.GetAPIServer().Start()
}

// StopEtcd stops etcd alone.
func (c *ControlPlane) StopEtcd() error { return c.environment.ControlPlane.Etcd.Stop() }

// StartEtcd starts etcd again, with what it had stored.
func (c *ControlPlane) StartEtcd() error { return c.environment.ControlPlane.Etcd.Start() }

// EtcdURL is the address of etcd's API.
func (c *ControlPlane) EtcdURL() string { return c.environment.ControlPlane.Etcd.URL.String() }

// grantRights gives the controller's user what config/rbac gives the controller, and the service accounts of all
// namespaces what steps need to report to Argo.
func (c *ControlPlane) grantRights(ctx context.Context, root string) error {
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "rbac", "role.yaml"), filepath.Join(root, "config", "rbac", "leader_election.yaml"))
	if err != nil {
		return err
	}
	controller := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: ControllerUser}
	everybody := rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts"}
	report := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "step"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"argoproj.io"}, Resources: []string{"workflowtaskresults"}, Verbs: []string{"create", "patch"}}},
	}
	wanted := []client.Object{namespace(systemNamespace), report, bindRole(report.Name, everybody)}
	for _, object := range objects {
		switch object.GetKind() {
		case "ClusterRole":
			wanted = append(wanted, object, bindRole(object.GetName(), controller))
		case "Role":
			object.SetNamespace(systemNamespace)
			wanted = append(wanted, object, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: object.GetName()},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: object.GetName()},
				Subjects:   []rbacv1.Subject{controller},
			})
		}
	}
	for _, object := range wanted {
		if err := c.Admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}
