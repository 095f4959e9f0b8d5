// Package staleness answers one question: is a copy that was read from a cache older than what this process wrote?
//
// In: the objects that this process wrote, and the copies that it reads. Out: whether a copy is stale, and whether only
// this process can have written an execution's status. It owns the resource versions of writes that the cache does not show
// yet, since when this process leads, which writes were not answered, and which recorded ends are not released yet. It reads
// and writes no object. The verbs are those of Kubernetes' own k8s.io/kubernetes/pkg/controller/util/consistency.
package staleness
