package manifests

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Rule is a recording rule or an alert.
type Rule struct {
	Record        string            `json:"record,omitempty"`
	Alert         string            `json:"alert,omitempty"`
	Expr          string            `json:"expr"`
	For           string            `json:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Name is the name of the series or of the alert.
func (r *Rule) Name() string { return r.Record + r.Alert }

// Group is a group of rules.
type Group struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []Rule `json:"rules"`
}

// RuleFiles lists the plain rule files of a folder config.
func RuleFiles(config string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(config, "prometheus", "rules", "*.yaml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no rules in %s", config)
	}
	return files, err
}

// Groups reads the plain rule files of a folder config.
func Groups(config string) ([]Group, error) {
	files, err := RuleFiles(config)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, path := range files {
		var content struct {
			Groups []Group `json:"groups"`
		}
		if err := Read(path, &content); err != nil {
			return nil, err
		}
		groups = append(groups, content.Groups...)
	}
	return groups, nil
}

// Rules reads the rules of all plain rule files of a folder config.
func Rules(config string) ([]Rule, error) {
	groups, err := Groups(config)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for _, group := range groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

// Read reads a YAML or JSON file and refuses fields that the target does not have.
func Read(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
