// Package admission decides which execution may start.
//
// In: an execution that has no Workflow yet, and the cache of those that have not ended. Out: nothing, when it may start; or the
// Obstacle that it waits for: the lock on its target, or a slot of its namespace. It owns one fact: which executions this
// process admitted, since the cache may not show yet that they started. What a predecessor admitted is read once from the
// API server. Its watches wake whoever may start next, and no others. It never creates a Workflow and never writes a status.
//
// No request is sent while its mutex is held, but for the one rebuild after a change of leader. Whoever waits for something
// else, a slot or the end of a suspension, is not in the line for a target.
package admission
