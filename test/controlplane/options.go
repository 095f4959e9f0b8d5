package controlplane

import (
	"os"
	"path/filepath"
)

// Option is a choice for a control plane that is about to start.
type Option func(*ControlPlane) error

// writesPolicy notes what the controller writes, leases apart, when it has been answered.
const writesPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources: [{group: coordination.k8s.io}]
- level: Metadata
  users: [` + ControllerUser + `]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// WithAuditLog lets the API server write down what the controller writes, one event a line.
func WithAuditLog(file string) Option {
	return func(c *ControlPlane) error {
		policy := filepath.Join(c.folder, "audit.yaml")
		if err := os.WriteFile(policy, []byte(writesPolicy), 0o600); err != nil {
			return err
		}
		c.environment.ControlPlane.GetAPIServer().Configure().
			Set("audit-policy-file", policy).Set("audit-log-path", file).Set("audit-log-mode", "blocking")
		return nil
	}
}

// WithFsync lets etcd wait for the disk, as it does in production.
func WithFsync() Option {
	return func(c *ControlPlane) error {
		c.environment.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "false")
		return nil
	}
}
