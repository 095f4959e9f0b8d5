// Package dashboard tests kubectl wfe dashboard in Chromium while executions run.
package dashboard
