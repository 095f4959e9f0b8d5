package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubernaut-io/workflowexecution/test/testutil"
)

// TestEveryCommandIsRun fails for a block of commands without a valid mark.
func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	for _, document := range files(t) {
		if _, err := Read(root(t), document); err != nil {
			t.Error(err)
		}
	}
}

// TestEveryTargetExists checks the targets of make that documents name in their text.
func TestEveryTargetExists(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(makefile), -1) {
		targets[match[1]] = true
	}
	for _, document := range files(t) {
		content, err := os.ReadFile(filepath.Join(root(t), document))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(string(content)), " ")
		for _, match := range regexp.MustCompile("`make ([^`]+)`").FindAllStringSubmatch(text, -1) {
			for _, word := range strings.Fields(match[1]) {
				if !strings.Contains(word, "=") && !targets[word] {
					t.Errorf("%s names make %s, which does not exist", document, word)
				}
			}
		}
	}
}

// TestEveryLinkLeadsSomewhere checks the links of the documents to files and headings of the repository.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, document := range files(t) {
		content, err := os.ReadFile(filepath.Join(root(t), document))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(content), -1) {
			path, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(path, ":") {
				continue
			}
			target := filepath.Join(root(t), filepath.Dir(document), path)
			if path == "" {
				target = filepath.Join(root(t), document)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", document, match[1])
			} else if anchor != "" && !hasHeading(t, target, anchor) {
				t.Errorf("%s links to %s, which has no such heading", document, match[1])
			}
		}
	}
}

// TestEveryTestFileExists checks the files of tests that documents name, from the root or from the document's folder.
func TestEveryTestFileExists(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, document := range files(t) {
		content, err := os.ReadFile(filepath.Join(root(t), document))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile("`([\\w/-]+_test\\.go)`").FindAllStringSubmatch(string(content), -1) {
			seen++
			_, fromRoot := os.Stat(filepath.Join(root(t), match[1]))
			_, fromFolder := os.Stat(filepath.Join(root(t), filepath.Dir(document), match[1]))
			if fromRoot != nil && fromFolder != nil {
				t.Errorf("%s names %s, which does not exist", document, match[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no document names a test")
	}
}

func hasHeading(t *testing.T, path, anchor string) bool {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^#+ +(.+)$`).FindAllStringSubmatch(string(content), -1) {
		heading := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		if strings.ReplaceAll(heading, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		document string
		want     []Block
		wrong    string
	}{
		"script": {
			document: "<!-- run: cluster -->\n```console\nmake a\nmake b\n```\n",
			want:     []Block{{Document: "d", Line: 2, Mode: Cluster, Commands: []Command{{Line: 3, Text: "make a\nmake b"}}}},
		},
		"prompts": {
			document: "<!-- run: offline -->\n```console\n$ a \\\n  b  # exit code 2\nsays\n$ c\n```\n",
			want: []Block{{Document: "d", Line: 2, Mode: Offline, Commands: []Command{
				{Line: 3, Text: "a \\\n  b", Output: []string{"says"}, ExitCode: 2}, {Line: 6, Text: "c"},
			}}},
		},
		"other languages":       {document: "```yaml\na: b\n```\n"},
		"a block inside":        {document: "````markdown\n```console\nx\n```\n````\n"},
		"by hand":               {document: "<!-- run by hand: it takes a year -->\n```sh\nx\n```\n", want: []Block{{Document: "d", Line: 2, Mode: ByHand, Commands: []Command{{Line: 3, Text: "x"}}}}},
		"by hand for no reason": {document: "<!-- run by hand:  -->\n```sh\nx\n```\n", wrong: "d:2: the line before"},
		"no mark":               {document: "```console\nx\n```\n", wrong: "d:1: the line before"},
		"mark too early":        {document: "<!-- run: cluster -->\n\n```console\nx\n```\n", wrong: "d:3: the line before"},
		"unknown mark":          {document: "<!-- run: moon -->\n```console\nx\n```\n", wrong: `d:2: unknown mark "moon"`},
		"no end":                {document: "<!-- run: cluster -->\n```console\nx\n", wrong: "d:2: the block is not closed"},
		"empty":                 {document: "<!-- run: cluster -->\n```console\n```\n", wrong: "d:2: the block is empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse("d", test.document)
			if test.wrong != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.wrong) {
					t.Errorf("error %v, want %s", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shown   []string
		printed string
		same    bool
	}{
		"nothing shown":   {printed: "x", same: true},
		"the same":        {shown: []string{"a b"}, printed: "a b\n", same: true},
		"other times":     {shown: []string{"ended 1m30s  ago, 2.5s"}, printed: "ended 4s ago, 11s\n", same: true},
		"other number":    {shown: []string{"3 steps"}, printed: "4 steps\n"},
		"other word":      {shown: []string{"Completed"}, printed: "Failed\n"},
		"line too many":   {shown: []string{"a"}, printed: "a\nb\n"},
		"line too few":    {shown: []string{"a", "b"}, printed: "a\n"},
		"anything within": {shown: []string{"pod/… created"}, printed: "pod/x-1 created\n", same: true},
		"any lines":       {shown: []string{"a", "…", "z"}, printed: "a\nb\nc\nz\n", same: true},
		"other end":       {shown: []string{"a", "…", "z"}, printed: "a\nb\n"},
		"no expression":   {shown: []string{"a.c"}, printed: "abc\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := (Command{Output: test.shown}).Compare(test.printed); (err == nil) != test.same {
				t.Errorf("%v", err)
			}
		})
	}
}

func files(t *testing.T) []string {
	t.Helper()
	documents, err := Files(root(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) == 0 || documents[0] != "README.md" {
		t.Fatalf("the documents are %v", documents)
	}
	return documents
}

func root(t *testing.T) string {
	t.Helper()
	path, err := testutil.Root()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
