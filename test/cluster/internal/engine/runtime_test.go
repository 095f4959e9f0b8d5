package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const unrestricted = `{"args":["init"],"capabilities":{"bounding":["CAP_KILL","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},` +
	`"oomScoreAdj":-500,"rlimits":[{"hard":18446744073709551615,"soft":1024,"type":"RLIMIT_NOFILE"}]}`

const restricted = `{"args":["init"],"capabilities":{"bounding":["CAP_KILL"],"effective":[]},` +
	`"rlimits":[{"hard":18446744073709551615,"soft":1024,"type":"RLIMIT_NOFILE"}]}`

func TestRewriteForRuntime(t *testing.T) {
	for name, test := range map[string]struct {
		file      string
		arguments func(folder string) []string
		content   string
		want      string
	}{
		"a new container": {
			"config.json", func(folder string) []string { return []string{"--root", "/r", "create", "--bundle", folder, "id"} },
			`{"process":` + unrestricted + `,"root":{"path":"/x"}}`, `{"process":` + restricted + `,"root":{"path":"/x"}}`,
		},
		"a new container, joined option": {
			"config.json", func(folder string) []string { return []string{"create", "--bundle=" + folder, "id"} },
			`{"process":` + unrestricted + `}`, `{"process":` + restricted + `}`,
		},
		"a process in a container": {
			"process.json", func(folder string) []string {
				return []string{"exec", "--process", filepath.Join(folder, "process.json"), "id"}
			},
			unrestricted, restricted,
		},
		"a score that needs no capability": {
			"process.json", func(folder string) []string {
				return []string{"exec", "-p", filepath.Join(folder, "process.json"), "id"}
			},
			`{"oomScoreAdj":100}`, `{"oomScoreAdj":100}`,
		},
		"a call that starts nothing": {
			"config.json", func(string) []string { return []string{"--root", "/r", "delete", "id"} },
			`{"process":` + unrestricted + `}`, `{"process":` + unrestricted + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, test.file)
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := rewriteForRuntime(test.arguments(folder), []string{"CAP_KILL", "CAP_CHOWN"}); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normalize(t, test.want), normalize(t, string(content))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// normalize keeps numbers as they are spelled.
func normalize(t *testing.T, document string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(document), &fields); err != nil {
		t.Fatal(err)
	}
	for name, field := range fields {
		if len(field) > 0 && field[0] == '{' {
			fields[name] = json.RawMessage(normalize(t, string(field)))
		}
	}
	content, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestRewriteForRuntimeRejectsABundleWithoutConfiguration(t *testing.T) {
	if err := rewriteForRuntime([]string{"create", "--bundle", t.TempDir(), "id"}, nil); err == nil {
		t.Error("rewriteForRuntime() accepts a bundle without a configuration")
	}
}
