// Package engine starts a private container engine for kind, on machines where none is running. The engine is docker.io of Debian. It has
// its own process and mount namespaces and no default network, keeps all its state in one folder, and does not change the firewall of the
// machine. When its first process ends, the kernel removes its containers and mounts. Containers reach each other and the machine only.
package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Engine is a private engine. There is one for each cache folder.
type Engine struct {
	// Folder contains all state of the engine.
	Folder string
	// Progress receives lines of text about the progress.
	Progress io.Writer
}

// RuntimeCommand is the subcommand of this program that replaces runc on machines that lack capabilities.
const RuntimeCommand = "oci-runtime"

// link is the network link of the network of kind, and cgroups the parent of the cgroups of all containers.
const (
	link    = "wfe-kind"
	cgroups = "wfe-engine"
)

func (e Engine) path(parts ...string) string {
	return filepath.Join(append([]string{e.Folder}, parts...)...)
}

func (e Engine) lock() string     { return e.Folder + ".lock" }
func (e Engine) socket() string   { return e.path("docker.sock") }
func (e Engine) log() string      { return e.path("log") }
func (e Engine) tunables() string { return e.path("tunables.json") }

// Host is the value of DOCKER_HOST for the private engine.
func (e Engine) Host() string { return "unix://" + e.socket() }

// Environment returns the variables with which clients reach an engine: the one of the user if it answers, else the private one.
func (e Engine) Environment(ctx context.Context) (environment []string, private bool, err error) {
	if Answers(ctx, os.Environ()) == nil {
		return os.Environ(), false, nil
	}
	environment = append(os.Environ(), "DOCKER_HOST="+e.Host())
	if Answers(ctx, environment) == nil {
		return environment, true, nil
	}
	return nil, false, fmt.Errorf("no container engine answers: start Docker, or as root on Debian run: go run -C test/cluster . kind-engine-up")
}

// Answers is an error if no engine answers.
func Answers(ctx context.Context, environment []string) error {
	return docker(ctx, environment, "version", "--format", "{{.Server.Version}}")
}

// LoadImage loads an image from an archive, unless the engine has it.
func LoadImage(ctx context.Context, environment []string, name, archive string) error {
	if docker(ctx, environment, "image", "inspect", name) == nil {
		return nil
	}
	return docker(ctx, environment, "load", "--input", archive)
}

func docker(ctx context.Context, environment []string, arguments ...string) error {
	command := exec.CommandContext(ctx, "docker", arguments...)
	command.Env = environment
	var messages strings.Builder
	command.Stderr = &messages
	if err := command.Run(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", arguments[0], err, strings.TrimSpace(messages.String()))
	}
	return nil
}
