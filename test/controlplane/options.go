package controlplane

// Option is a choice for a control plane that is about to start.
type Option func(*ControlPlane) error

// WithFsync lets etcd wait for the disk, as it does in production.
func WithFsync() Option {
	return func(c *ControlPlane) error {
		c.environment.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "false")
		return nil
	}
}
