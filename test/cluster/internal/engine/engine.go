// Package engine starts a private container engine where none runs: Debian's docker.io, with all its state in one folder, in process and
// mount namespaces of its own, without a default network and without changing the machine's firewall. When its first process ends, its
// containers and mounts are gone. It is for kind's nodes: containers reach each other and the machine, and nothing else.
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

// Engine is a private engine; there is one for a cache folder.
type Engine struct {
	// Folder holds all its state.
	Folder string
	// Progress receives plain lines that say what happens.
	Progress io.Writer
}

// RuntimeCommand is the command of this program that stands in for runc where the machine lacks capabilities.
const RuntimeCommand = "oci-runtime"

// link is the network link of kind's network, which kind would otherwise name by chance, and cgroup the parent of all containers.
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

// Environment is what clients need to reach an engine: the user's own settings if they lead to one, else the private one.
func (e Engine) Environment(ctx context.Context) (environment []string, private bool, err error) {
	if Answers(ctx, os.Environ()) == nil {
		return os.Environ(), false, nil
	}
	environment = append(os.Environ(), "DOCKER_HOST="+e.Host())
	if Answers(ctx, environment) == nil {
		return environment, true, nil
	}
	return nil, false, fmt.Errorf("no container engine answers: start Docker, or on Debian as root run make kind-engine-up")
}

// Answers asks an engine for its version.
func Answers(ctx context.Context, environment []string) error {
	return docker(ctx, environment, "version", "--format", "{{.Server.Version}}")
}

// LoadImage makes sure that the engine has an image, from an archive.
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
