package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// environment describes where the results were measured.
func environment() map[string]string {
	facts := map[string]string{
		"go":            runtime.Version(),
		"processors":    fmt.Sprint(runtime.NumCPU()),
		"control plane": "etcd with fsync, API server with an audit log of the controller's requests; for whole runs the cluster of KUBECONFIG",
		"manager":       "as shipped: 8 reconciles at once, no limit on requests",
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		facts["load before"] = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return facts
	}
	wanted := []string{"github.com/argoproj/argo-workflows/v3", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"}
	for _, module := range build.Deps {
		if slices.Contains(wanted, module.Path) {
			facts[module.Path] = module.Version
		}
	}
	return facts
}
