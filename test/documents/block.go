package documents

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mode is how the commands of a block are run.
type Mode string

// The modes.
const (
	Cluster     Mode = "cluster"
	BareCluster Mode = "bare cluster"
	Offline     Mode = "offline"
	ByHand      Mode = "by hand"
)

// Block is a fenced block of commands in a document.
type Block struct {
	// Document is the path of the file in the repository, Line the line of its fence.
	Document string
	Line     int
	Mode     Mode
	Commands []Command
}

// Command is one command, or a whole script if the block has no prompts.
type Command struct {
	Line int
	Text string
	// Output is the output that the document shows; nil if it shows none.
	Output []string
	// ExitCode is the exit code that the document expects.
	ExitCode int
}

// shells are the languages of blocks of commands.
var shells = []string{"console", "shell", "sh", "bash", "shell-session", "terminal"}

var (
	fence    = regexp.MustCompile("^\\s*(`{3,}|~{3,})\\s*(\\S*)")
	runMark  = regexp.MustCompile(`^<!-- run: (.+) -->$`)
	handMark = regexp.MustCompile(`^<!-- run by hand: \S.* -->$`)
	exitMark = regexp.MustCompile(` +# exit code (\d+)$`)
)

// Files lists the Markdown files of a repository, its README first.
func Files(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") && name != ".github" || name == "bin" || name == "dist" || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		name, err := filepath.Rel(root, path)
		files = append(files, filepath.ToSlash(name))
		return err
	})
	slices.SortStableFunc(files, func(a, b string) int { return depth(a) - depth(b) })
	return files, err
}

func depth(path string) int { return min(strings.Count(path, "/"), 1) }

// Read returns the blocks of commands of a document. A block without a mark, or with an unknown one, is an error.
func Read(root, document string) ([]Block, error) {
	content, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		return nil, err
	}
	return parse(document, string(content))
}

func parse(document, content string) ([]Block, error) {
	fences, err := findFences(content)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", document, err)
	}
	var blocks []Block
	for _, f := range fences {
		if !slices.Contains(shells, f.language) {
			continue
		}
		block := Block{Document: document, Line: f.line}
		if block.Mode, err = modeOf(f.before); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", document, f.line, err)
		}
		if block.Commands, err = commands(f.lines, f.line+1); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", document, f.line, err)
		}
		blocks = append(blocks, block)
	}
	return blocks, nil
}

// fenced is a fenced block of any language: the number of its first line, the line before it, and its content.
type fenced struct {
	line             int
	before, language string
	lines            []string
}

func findFences(content string) ([]fenced, error) {
	var found []fenced
	lines := strings.Split(content, "\n")
	for i := 0; i < len(lines); i++ {
		opened := fence.FindStringSubmatch(lines[i])
		if opened == nil {
			continue
		}
		f := fenced{line: i + 1, language: opened[2]}
		if i > 0 {
			f.before = strings.TrimSpace(lines[i-1])
		}
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != opened[1]; i++ {
			f.lines = append(f.lines, lines[i])
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%d: the block is not closed", f.line)
		}
		found = append(found, f)
	}
	return found, nil
}

// modeOf reads the mark in the line before a block.
func modeOf(mark string) (Mode, error) {
	if handMark.MatchString(mark) {
		return ByHand, nil
	}
	match := runMark.FindStringSubmatch(mark)
	if match == nil {
		return "", fmt.Errorf("the line before a block of commands must be a mark such as <!-- run: cluster -->; see test/documents/doc.go")
	}
	if mode := Mode(match[1]); mode == Cluster || mode == BareCluster || mode == Offline {
		return mode, nil
	}
	return "", fmt.Errorf("unknown mark %q", match[1])
}

// commands splits a block into commands. line is the number of its first line.
func commands(lines []string, line int) ([]Command, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("the block is empty")
	}
	if !strings.HasPrefix(lines[0], "$ ") {
		return []Command{{Line: line, Text: strings.Join(lines, "\n")}}, nil
	}
	var found []Command
	for i := 0; i < len(lines); i++ {
		text, isCommand := strings.CutPrefix(lines[i], "$ ")
		if !isCommand {
			last := &found[len(found)-1]
			last.Output = append(last.Output, lines[i])
			continue
		}
		command := Command{Line: line + i}
		for strings.HasSuffix(text, `\`) && i+1 < len(lines) {
			i++
			text += "\n" + lines[i]
		}
		if match := exitMark.FindStringSubmatch(text); match != nil {
			text = strings.TrimSuffix(text, match[0])
			command.ExitCode, _ = strconv.Atoi(match[1])
		}
		command.Text = text
		found = append(found, command)
	}
	return found, nil
}
