package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// measureMemory measures the memory of the manager without and with live executions of 20 nodes, and the memory of Argo's
// controller with the same Workflows in its cache and no workers.
func measureMemory(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newControlPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	heap, resident, err := p.memoryOf(ctx, m)
	if err != nil {
		return nil, err
	}
	if m, err = p.manageAfter(ctx, m, func() error { return p.seedAll(ctx, "live", 0, s.count, nil) }); err != nil {
		return nil, err
	}
	if err := m.waitForActive(ctx, s.count); err != nil {
		return nil, err
	}
	heapWith, residentWith, err := p.memoryOf(ctx, m)
	if err != nil {
		return nil, err
	}
	written, err := p.writes()
	if err != nil {
		return nil, err
	}
	if s.profiles {
		content, err := get("http://" + m.profiles + "/debug/pprof/heap")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.folder, "memory.pprof"), content, 0o600); err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("memory, %d live executions of %d nodes: ", s.count, liveSteps)
	results = []Result{
		info("memory, no execution: heap", heap/(1<<20), "MiB"),
		info("memory, no execution: resident", resident/(1<<20), "MiB"),
		atMost(what+"writes without a change", float64(len(written)), 0, ""),
		info(what+"heap", heapWith/(1<<20), "MiB"),
		info(what+"resident", residentWith/(1<<20), "MiB"),
		atMost(what+"heap an execution", (heapWith-heap)/1024/float64(s.count), maxHeap, "KiB"),
	}
	if err := m.stop(); err != nil {
		return nil, err
	}
	argo, err := p.manageArgo(ctx, s.count)
	if err != nil {
		return nil, err
	}
	argoHeap, argoResident, err := p.memoryOf(ctx, argo)
	if err != nil {
		return nil, err
	}
	return append(results,
		info(what+"heap of Argo's controller", argoHeap/(1<<20), "MiB"),
		info(what+"resident, of Argo's controller", argoResident/(1<<20), "MiB"),
		atMost(what+"heap / Argo's", heapWith/argoHeap, maxShareOfArgo, ""),
		atMost(what+"resident / Argo's", residentWith/argoResident, maxShareOfArgo, ""),
	), nil
}

// memoryOf waits until a manager is idle, and reads its resident memory and its heap after garbage collection.
func (p *controlPlane) memoryOf(ctx context.Context, m *manager) (heap, resident float64, err error) {
	if err := m.waitForQuiet(ctx); err != nil {
		return 0, 0, err
	}
	// A forced garbage collection would reduce the resident memory.
	if resident, err = m.resident(); err != nil {
		return 0, 0, err
	}
	heap, err = m.heap()
	return heap, resident, err
}

// manageArgo starts Argo's controller without workers, so that it changes nothing, and waits until its cache has the given
// number of Workflows.
func (p *controlPlane) manageArgo(ctx context.Context, workflows int) (*manager, error) {
	binary, err := program(ctx, "workflow-controller")
	if err != nil {
		return nil, err
	}
	settings := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "workflow-controller-configmap"},
		Data:       map[string]string{"metricsConfig": "{secure: false}"},
	}
	if err := p.Admin.Create(ctx, settings); err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(p.folder, "argo-kubeconfig")
	if err := os.WriteFile(kubeconfig, p.AdminKubeconfig, 0o600); err != nil {
		return nil, err
	}
	m := &manager{profiles: "127.0.0.1:6060", metrics: "http://127.0.0.1:9090/metrics", filled: `argo_workflows_gauge{status="Running"}`}
	process := exec.Command(binary, "--kubeconfig="+kubeconfig, "--namespace=default", "--loglevel=warn",
		"--executor-image=none", "--workflow-workers=0", "--workflow-ttl-workers=0", "--pod-cleanup-workers=0", "--cron-workflow-workers=0", "--workflow-archive-workers=0")
	if err := m.start(p, process, "argo", "ARGO_PPROF=true", "LEADER_ELECTION_DISABLE=true"); err != nil {
		return nil, err
	}
	return m, until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		return err == nil && samples[m.filled] == float64(workflows), m.hasEnded()
	})
}
