// Package local runs a Kubernetes cluster on this machine, as processes in their own network namespace. It starts the executables that it
// is given, reaches nothing outside of the machine, and removes everything that it created, also after an earlier command was killed.
//
// On machines that cannot run pods, the cluster is simulated: the control plane listens on loopback addresses, KWOK simulates a node, and
// selected Deployments run as processes. Messages, the status and an annotation of the node say that pods do nothing.
//
// All files of a cluster are in one folder. The container runtime and the kubelet of a node have their own mount namespace, in which /run,
// /var/lib and /var/log are parts of that folder. Therefore they use their usual paths without changing those of the machine, their mounts
// end with the last of their processes, and socket paths are short.
//
// The package does not know what the cluster is used for, and builds nothing.
package local
