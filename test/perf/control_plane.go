package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut-io/workflowexecution/test/controlplane"
	"github.com/kubernaut-io/workflowexecution/test/testutil"
	"github.com/kubernaut-io/workflowexecution/translate"
)

// workers is the number of requests that the harness makes at once.
const workers = 16

// controlPlane is an API server and etcd with the catalog, and the manager as shipped.
type controlPlane struct {
	*controlplane.ControlPlane
	catalog translate.Catalog
	// skipEndedWorkflows leaves out the Workflows of ended executions, which no manager has in its cache.
	skipEndedWorkflows bool

	folder string
	binary string
	ends   []func() error
}

// newControlPlane starts a control plane with Argo's definitions, without a manager. The caller must end the result, also
// after an error.
func newControlPlane(ctx context.Context, definitions testutil.Definitions) (p *controlPlane, err error) {
	p = &controlPlane{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.end())
		}
	}()
	if p.folder, err = os.MkdirTemp("", "perf-"); err != nil {
		return p, err
	}
	p.ends = append(p.ends, func() error { return os.RemoveAll(p.folder) })
	root, err := testutil.Root()
	if err != nil {
		return p, err
	}
	p.binary = filepath.Join(p.folder, "manager")
	build := exec.CommandContext(ctx, "go", "build", "-o", p.binary, "./cmd/manager")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build the manager: %w\n%s", err, output)
	}
	if p.ControlPlane, err = controlplane.Start(ctx, controlplane.WithFsync()); err != nil {
		return p, err
	}
	p.ends = append(p.ends, p.Stop)
	if err := p.InstallArgo(definitions); err != nil {
		return p, err
	}
	if p.catalog, err = readCatalog(); err != nil {
		return p, err
	}
	for name := range p.catalog {
		objects, err := testutil.ReadManifests(filepath.Join(root, "config", "actions", name+".yaml"))
		if err != nil {
			return p, err
		}
		if err := p.Admin.Create(ctx, objects[0]); err != nil {
			return p, err
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}}
	return p, client.IgnoreAlreadyExists(p.Admin.Create(ctx, account))
}

// profileServer stores a profile of the API server's next seconds.
func (p *controlPlane) profileServer(ctx context.Context, s *settings, name string, seconds int) {
	if !s.profiles {
		return
	}
	clientset, err := kubernetes.NewForConfig(p.Config)
	if err == nil {
		var content []byte
		request := clientset.RESTClient().Get().AbsPath("/debug/pprof/profile").Param("seconds", strconv.Itoa(seconds))
		if content, err = request.DoRaw(ctx); err == nil {
			err = os.WriteFile(filepath.Join(s.folder, name+".pprof"), content, 0o600)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
	}
}

// end stops what was started, in reverse order.
func (p *controlPlane) end() error {
	var errs []error
	for i := len(p.ends) - 1; i >= 0; i-- {
		errs = append(errs, p.ends[i]())
	}
	p.ends = nil
	return errors.Join(errs...)
}

// each calls a function for the numbers from first to end, several at a time.
func each(first, end int, do func(i int) error) error {
	numbers := make(chan int)
	errs := make([]error, workers)
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			for i := range numbers {
				if err := do(i); err != nil {
					errs[w] = errors.Join(errs[w], err)
				}
			}
		})
	}
	for i := first; i < end; i++ {
		numbers <- i
	}
	close(numbers)
	working.Wait()
	return errors.Join(errs...)
}
