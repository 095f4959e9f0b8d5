package controlplane

// Option configures a control plane before its start.
type Option func(*ControlPlane) error

// WithFsync makes etcd wait for the disk, as in production.
func WithFsync() Option {
	return func(c *ControlPlane) error {
		c.environment.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "false")
		return nil
	}
}
