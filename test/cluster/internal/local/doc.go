// Package local runs a Kubernetes cluster on this machine, as processes in a network namespace of their own. It starts
// executables that it is given, reaches nothing outside of the machine, and removes what it made, also after a predecessor was killed.
//
// Where no pods can run, the cluster is simulated: the control plane listens on loopback addresses, KWOK plays a node, and what
// Deployments would run may be processes. Whoever looks at it is told that pods do nothing.
//
// Everything of a cluster lies in one folder. The container runtime and the kubelet run in a mount namespace of their own, in which
// /run, /var/lib and /var/log are parts of that folder: so they keep their usual paths without touching those of the machine, their
// mounts vanish with the last of their processes, and socket paths stay short wherever the folder is.
//
// It knows nothing of what runs on the cluster, and it does not build anything.
package local
