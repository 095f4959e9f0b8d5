package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rewriteForRuntime changes the specification from which a call of runc starts a process, so that the process requests only capabilities
// that this machine has. Calls that start no process have no specification.
func rewriteForRuntime(arguments, allowed []string) error {
	if bundle, given := option(arguments, "--bundle", "-b"); given {
		return rewriteFile(filepath.Join(bundle, "config.json"), func(spec map[string]any) {
			if process, ok := spec["process"].(map[string]any); ok {
				restrict(process, allowed)
			}
		})
	}
	if process, given := option(arguments, "--process", "-p"); given {
		return rewriteFile(process, func(spec map[string]any) { restrict(spec, allowed) })
	}
	return nil
}

// option finds the value of an option under any of its names.
func option(arguments []string, names ...string) (value string, given bool) {
	for i, argument := range arguments {
		name, value, joined := strings.Cut(argument, "=")
		switch {
		case !slices.Contains(names, name):
		case joined:
			return value, true
		case i+1 < len(arguments):
			return arguments[i+1], true
		}
	}
	return "", false
}

func rewriteFile(file string, change func(map[string]any)) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the specification of a process: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	// Limits may exceed the range of a floating-point number.
	decoder.UseNumber()
	var spec map[string]any
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("read the specification of a process from %s: %w", file, err)
	}
	change(spec)
	if content, err = json.Marshal(spec); err != nil {
		return fmt.Errorf("write the specification of a process: %w", err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("write the specification of a process: %w", err)
	}
	return nil
}

// restrict removes capabilities that are not allowed, and a negative out-of-memory score, which needs CAP_SYS_RESOURCE.
func restrict(process map[string]any, allowed []string) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			capabilities, ok := set.([]any)
			if !ok {
				continue
			}
			sets[name] = slices.DeleteFunc(capabilities, func(each any) bool {
				capability, ok := each.(string)
				return !ok || !slices.Contains(allowed, capability)
			})
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		delete(process, "oomScoreAdj")
	}
}
