package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

const (
	// patience is the timeout of every wait.
	patience = 10 * time.Minute
	// active is the gauge of live executions.
	active = "workflowexecution_active_total"
	// processorSeconds is the counter of the process' processor time.
	processorSeconds = "process_cpu_seconds_total"
	// queued is the prefix of the series that count queued requests.
	queued = "workqueue_depth{"
	// idle is the maximum processor time in seconds that a manager uses between two scrapes while it fills no cache.
	idle = 0.03
)

// manager is a process of a controller that serves metrics and profiles.
type manager struct {
	process  *exec.Cmd
	metrics  string
	probes   string
	profiles string
	// filled is a series that exists after the caches are filled.
	filled string
	log    string
	ended  chan struct{}
}

// manage starts the manager and waits until it is ready.
func (p *controlPlane) manage(ctx context.Context) (*manager, error) {
	kubeconfig := filepath.Join(p.folder, "kubeconfig")
	if err := os.WriteFile(kubeconfig, p.Kubeconfig, 0o600); err != nil {
		return nil, err
	}
	var addresses [3]string
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	m := &manager{metrics: "http://" + addresses[0] + "/metrics", probes: addresses[1], profiles: addresses[2], filled: active}
	process := exec.Command(p.binary, "--leader-elect=false", "--metrics-insecure", "--metrics-bind-address="+addresses[0],
		"--health-probe-bind-address="+addresses[1], "--pprof-bind-address="+addresses[2])
	if err := m.start(p, process, "manager", "KUBECONFIG="+kubeconfig); err != nil {
		return nil, err
	}
	return m, until(ctx, func() (bool, error) {
		_, err := get("http://" + m.probes + "/readyz")
		return err == nil, m.hasEnded()
	})
}

// start starts the process of a manager, with its output in a file.
func (m *manager) start(p *controlPlane, process *exec.Cmd, name string, environment ...string) error {
	m.process, m.ended, m.log = process, make(chan struct{}), filepath.Join(p.folder, name+".log")
	log, err := os.Create(m.log)
	if err != nil {
		return err
	}
	process.Env = append(os.Environ(), environment...)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	go func() {
		defer close(m.ended)
		_ = process.Wait() // the exit code does not matter
		_ = log.Close()
	}()
	p.ends = append(p.ends, m.stop)
	return nil
}

// hasEnded returns an error with the end of the log if the process has ended.
func (m *manager) hasEnded() error {
	select {
	case <-m.ended:
		log, _ := os.ReadFile(m.log)
		return fmt.Errorf("the process ended: %s", log[max(0, len(log)-2000):])
	default:
		return nil
	}
}

// stop ends the process. It can be called again.
func (m *manager) stop() error {
	if err := m.process.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	select {
	case <-m.ended:
		return nil
	case <-time.After(30 * time.Second):
		return m.process.Process.Kill()
	}
}

// scrape reads the metrics and returns their size and the time to read them.
func (m *manager) scrape() (samples testutil.Samples, size int, took time.Duration, err error) {
	began := time.Now()
	content, err := get(m.metrics)
	took = time.Since(began)
	if err != nil {
		return nil, 0, 0, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(content)))
	if err != nil {
		return nil, 0, 0, err
	}
	return testutil.Flatten(families), len(content), took, nil
}

// total is the sum of the samples whose name has a prefix.
func total(samples testutil.Samples, prefix string) float64 {
	sum := 0.0
	for name, value := range samples {
		if strings.HasPrefix(name, prefix) {
			sum += value
		}
	}
	return sum
}

// waitForActive waits until the manager counts n live executions.
func (m *manager) waitForActive(ctx context.Context, n int) error {
	return until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		return err == nil && samples[active] == float64(n), m.hasEnded()
	})
}

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// heap is the size of the live objects in bytes after garbage collection.
func (m *manager) heap() (float64, error) {
	const gcs = 2 // objects with finalizers are freed by the second
	var content []byte
	for range gcs {
		var err error
		if content, err = get("http://" + m.profiles + "/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return 0, err
		}
	}
	match := heapAlloc.FindSubmatch(content)
	if match == nil {
		return 0, errors.New("the heap profile has no HeapAlloc")
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

// resident is the resident memory of the process in bytes.
func (m *manager) resident() (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("/proc/<pid>/status has no VmRSS")
}

// processor is the processor time in seconds that the process has used.
func (m *manager) processor() (float64, error) {
	samples, _, _, err := m.scrape()
	return samples[processorSeconds], err
}

// profile stores a profile of the next seconds.
func (m *manager) profile(s *settings, name string, seconds int) {
	if s.profiles {
		content, err := get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", m.profiles, seconds))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.folder, name+".pprof"), content, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
}

func get(url string) ([]byte, error) {
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return content, err
}

// until waits until a condition holds, and returns early on an error.
func until(ctx context.Context, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("timed out after %s", patience)
		case <-tick.C:
		}
	}
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// waitForQuiet waits until the manager has filled its caches and is idle.
func (m *manager) waitForQuiet(ctx context.Context) error {
	quiet, used := 0, 0.0
	return until(ctx, func() (bool, error) {
		samples, _, _, err := m.scrape()
		quiet++
		_, filled := samples[m.filled]
		busy := total(samples, queued) + total(samples, "controller_runtime_active_workers{")
		if !filled || samples[processorSeconds]-used > idle || busy > 0 {
			quiet = 0
		}
		used = samples[processorSeconds]
		return quiet >= 5, errors.Join(err, m.hasEnded())
	})
}
