package main

import (
	"net/http"
	"time"
)

// serveMonitoring implements the part of the APIs of Prometheus and Alertmanager that actions use: every query has the value
// 1, and no alert fires.
func serveMonitoring() {
	serve := func(path, body string) {
		http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		})
	}
	serve("/api/v1/query", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}`)
	serve("/api/v2/alerts", "[]")
	server := &http.Server{Addr: ":9090", ReadHeaderTimeout: 5 * time.Second}
	fail(1, "%v", server.ListenAndServe())
}
