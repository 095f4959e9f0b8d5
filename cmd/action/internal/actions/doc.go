// Package actions implements the built-in actions, one file for each family, and lists them in All.
//
// An action changes one thing through client-go and returns when the effect is reached. It records the previous state on
// the object in the same write (or before it), under the optimistic lock of the resource version. A retry at any point
// therefore ends like one uninterrupted attempt.
package actions
