// Package controlplane starts an API server and etcd for a test suite, with the CRDs of this repository and of Argo, and with a user that
// has exactly the rights of the controller. It starts no node, no pod and no controller. A suite can stop and restart both programs.
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
	// AssetsVariable is the variable with the folder of the binaries of the API server and etcd.
	AssetsVariable = "KUBEBUILDER_ASSETS"
	// ControllerUser is the user name of the controller.
	ControllerUser = "workflowexecution-controller"
	// timeout bounds the start and the stop on a busy machine.
	timeout = 2 * time.Minute
	// systemNamespace is the namespace of the lease.
	systemNamespace = "workflowexecution-system"
)

// ControlPlane is a running API server and its etcd.
type ControlPlane struct {
	// Admin is the client of all other users. It has no cache.
	Admin client.WithWatch
	// Config is the configuration of Admin.
	Config *rest.Config
	// Controller is the configuration of a controller, with the rights of config/rbac.
	Controller *rest.Config
	// Kubeconfig is Controller as a file, AdminKubeconfig is Config as a file.
	Kubeconfig, AdminKubeconfig []byte

	environment *envtest.Environment
	folder      string
	// audited is the offset in the audit log up to which Requests has read.
	audited int64
}

// Start starts both programs and installs the CRDs of this repository. etcd does not wait for the disk, unless WithFsync is given.
func Start(ctx context.Context, options ...Option) (c *ControlPlane, err error) {
	if os.Getenv(AssetsVariable) == "" {
		return nil, fmt.Errorf("%s is not set: it must contain the binaries of an API server and etcd; make test-envtest and make test-faults build them", AssetsVariable)
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
		ControlPlaneStartTimeout: timeout, ControlPlaneStopTimeout: timeout,
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
	// envtest removes its own folders when it stops, so that the programs could not be restarted.
	server := c.environment.ControlPlane.GetAPIServer()
	server.CertDir = filepath.Join(c.folder, "apiserver")
	// A stop waits for open requests up to this time, and a watch does not end earlier by itself.
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

// Stop ends both programs and removes their files.
func (c *ControlPlane) Stop() error {
	return errors.Join(c.environment.Stop(), os.RemoveAll(c.folder))
}

// InstallArgo installs the CRDs of Argo.
func (c *ControlPlane) InstallArgo(kind testutil.Definitions) error {
	crds, err := testutil.ArgoDefinitions(kind)
	if err != nil {
		return err
	}
	_, err = envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{Paths: []string{crds}, ErrorIfPathMissing: true})
	return err
}

// StopAPIServer stops the API server, while etcd keeps running.
func (c *ControlPlane) StopAPIServer() error { return c.environment.ControlPlane.GetAPIServer().Stop() }

// StartAPIServer restarts the API server at the same address.
func (c *ControlPlane) StartAPIServer() error {
	return c.environment.ControlPlane.GetAPIServer().Start()
}

// StopEtcd stops etcd, while the API server keeps running.
func (c *ControlPlane) StopEtcd() error { return c.environment.ControlPlane.Etcd.Stop() }

// StartEtcd restarts etcd with its data.
func (c *ControlPlane) StartEtcd() error { return c.environment.ControlPlane.Etcd.Start() }

// EtcdURL is the address of the API of etcd.
func (c *ControlPlane) EtcdURL() string { return c.environment.ControlPlane.Etcd.URL.String() }

// grantRights grants the user of the controller the rights of config/rbac, and all service accounts the right of steps to report to Argo.
func (c *ControlPlane) grantRights(ctx context.Context, root string) error {
	objects, err := testutil.ReadManifests(filepath.Join(root, "config", "rbac", "role.yaml"), filepath.Join(root, "config", "rbac", "leader_election.yaml"))
	if err != nil {
		return err
	}
	controller := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: ControllerUser}
	accounts := rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts"}
	report := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "step"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"argoproj.io"}, Resources: []string{"workflowtaskresults"}, Verbs: []string{"create", "patch"}}},
	}
	rights := []client.Object{namespace(systemNamespace), report, bindRole(report.Name, accounts)}
	for _, object := range objects {
		switch object.GetKind() {
		case "ClusterRole":
			rights = append(rights, object, bindRole(object.GetName(), controller))
		case "Role":
			object.SetNamespace(systemNamespace)
			rights = append(rights, object, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: object.GetName()},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: object.GetName()},
				Subjects:   []rbacv1.Subject{controller},
			})
		}
	}
	for _, object := range rights {
		if err := c.Admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}
