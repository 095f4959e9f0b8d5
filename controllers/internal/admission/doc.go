// Package admission decides which execution may start.
//
// In: an execution that has no Workflow yet, and the caches of the executions that have not ended and of the Workflows that are
// not released. Out: nothing, if it may start; or the Obstacle that it waits for: the lock on its target, or a slot of its
// namespace. It owns which executions this process admitted, since the cache may not show yet that they started, and which
// kinds are namespaced or not served. What a previous leader admitted is read once from the API server. Its watches enqueue
// the executions that may start next. It never creates a Workflow and never writes a status.
//
// No request is sent while its mutex is held, except for the one rebuild after a change of leader. An execution that is
// suspended or waits for a slot does not wait for its target, and blocks no other.
package admission
