package binaries

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	watchInterval = 300 * time.Millisecond
	stillBuilding = 30 * time.Second
	// unfinished is the prefix of folders that a build writes to before it moves the results to their final paths.
	unfinished = ".building-"
)

// build builds the missing programs. One go command builds all programs of a module, because they share most of their packages.
func (c *Cache) build(ctx context.Context, missing []Built) error {
	if err := c.removeUnfinished(); err != nil {
		return err
	}
	counter := &progress{total: len(missing)}
	for _, group := range byModule(missing) {
		if err := c.buildModule(ctx, group, counter); err != nil {
			return err
		}
	}
	return nil
}

// progress counts the programs of all modules of a build.
type progress struct{ done, total int }

func byModule(all []Built) [][]Built {
	var groups [][]Built
	positions := map[string]int{}
	for _, built := range all {
		position, known := positions[built.Program.Module.Pin]
		if !known {
			position = len(groups)
			positions[built.Program.Module.Pin] = position
			groups = append(groups, nil)
		}
		groups[position] = append(groups[position], built)
	}
	return groups
}

// removeUnfinished removes the folders of builds that were killed. The caller holds the lock of the cache.
func (c *Cache) removeUnfinished() error {
	leftovers, err := filepath.Glob(filepath.Join(c.Folder, "bin", unfinished+"*"))
	if err != nil {
		return fmt.Errorf("find unfinished builds: %w", err)
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return fmt.Errorf("remove an unfinished build: %w", err)
		}
	}
	return nil
}

func (c *Cache) buildModule(ctx context.Context, group []Built, counter *progress) error {
	module, version := group[0].Program.Module, group[0].Version
	var names []string
	for _, built := range group {
		names = append(names, built.Program.Name)
	}
	fmt.Fprintf(c.Progress, "building %s %s: %s …\n", module.Pin, version, strings.Join(names, ", "))

	bin := filepath.Join(c.Folder, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("create the cache of binaries: %w", err)
	}
	output, err := os.MkdirTemp(bin, unfinished+module.Pin+"-")
	if err != nil {
		return fmt.Errorf("create a folder for the build of %s: %w", module.Pin, err)
	}
	defer func() { _ = os.RemoveAll(output) }()

	arguments, err := c.buildArguments(ctx, group, output)
	if err != nil {
		return err
	}
	stop := c.watch(output, group, counter)
	messages, err := runGo(ctx, filepath.Join(c.Pins, module.Pin), arguments...)
	stop()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(names, ", "), err, messages)
	}
	return store(output, group)
}

func (c *Cache) buildArguments(ctx context.Context, group []Built, output string) ([]string, error) {
	module, version := group[0].Program.Module, group[0].Version
	arguments := []string{
		"build", "-trimpath", "-buildvcs=false", "-ldflags", module.linkerFlags(version), "-o", output + string(filepath.Separator),
	}
	if len(module.Tags) > 0 {
		arguments = append(arguments, "-tags", strings.Join(module.Tags, ","))
	}
	if len(module.Links)+len(module.Files) > 0 {
		modfile, err := c.restoreMissing(ctx, module, version)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "-modfile", modfile)
	}
	for _, built := range group {
		arguments = append(arguments, built.Program.Package)
	}
	return arguments, nil
}

// watch prints a line for every executable that appears, and one at intervals while none does. The returned function prints the remaining
// lines and stops.
func (c *Cache) watch(output string, group []Built, counter *progress) (stop func()) {
	started := time.Now()
	seen := map[string]bool{}
	printNew := func() (found bool) {
		for _, built := range group {
			if _, err := os.Stat(filepath.Join(output, built.Program.output())); err != nil || seen[built.Program.Name] {
				continue
			}
			seen[built.Program.Name] = true
			found = true
			counter.done++
			fmt.Fprintf(c.Progress, "built %s %s (%d of %d) after %s\n", built.Program.Name, built.Version, counter.done, counter.total,
				time.Since(started).Round(time.Second))
		}
		return found
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(watchInterval)
		defer ticker.Stop()
		lastLine := started
		for {
			select {
			case <-quit:
				printNew()
				return
			case now := <-ticker.C:
				if printNew() {
					lastLine = now
				}
				if now.Sub(lastLine) >= stillBuilding {
					lastLine = now
					fmt.Fprintf(c.Progress, "still building %s (%s) …\n", group[0].Program.Module.Pin, now.Sub(started).Round(time.Second))
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}

// runGo runs the go command in a folder and returns its output. The command has its own process group, so that cancelling a build also ends
// the compilers.
func runGo(ctx context.Context, folder string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = folder
	command.Env = buildEnvironment()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	var messages bytes.Buffer
	command.Stdout, command.Stderr = &messages, &messages
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return messages.String(), err
	}
	return messages.String(), nil
}

// buildEnvironment overrides settings of the user that change the result.
func buildEnvironment() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
}

// store moves each result to its final path in one step.
func store(output string, group []Built) error {
	for _, built := range group {
		if err := os.MkdirAll(filepath.Dir(built.Path), 0o755); err != nil {
			return fmt.Errorf("store %s: %w", built.Program.Name, err)
		}
		if err := os.Rename(filepath.Join(output, built.Program.output()), built.Path); err != nil {
			return fmt.Errorf("store %s: %w", built.Program.Name, err)
		}
	}
	return nil
}
