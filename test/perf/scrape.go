package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// scrapes is how often /metrics is read for one value.
const scrapes = 50

// measureScrape measures the size of /metrics and the time to read it, with executions that have ended, that ended just
// now, and that live.
func measureScrape(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	yesterday, now := time.Now().Add(-24*time.Hour).Truncate(time.Second), time.Now().Truncate(time.Second)
	empty, none, err := m.scrapeOften(ctx)
	if err != nil {
		return nil, err
	}
	results = append(results, told("scrape, no execution: size", empty, "bytes"), told("scrape, no execution: p50", none*1e3, "ms"))
	for _, population := range []struct {
		name  string
		ended *time.Time
	}{{"ended yesterday", &yesterday}, {"ended just now", &now}, {"live", nil}} {
		prefix := fmt.Sprintf("s%d", len(results))
		seed := func() error { return p.seedAll(ctx, prefix, 0, s.count, population.ended) }
		if m, err = p.manageAfter(ctx, m, seed); err != nil {
			return nil, err
		}
		if population.ended == nil {
			if err := m.waitForActive(ctx, s.count); err != nil {
				return nil, err
			}
		}
		size, took, err := m.scrapeOften(ctx)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("scrape, and %d executions %s: ", s.count, population.name)
		results = append(results, told(what+"size", size, "bytes"), told(what+"p50", took*1e3, "ms"))
		if population.name == "ended yesterday" {
			results = append(results,
				atMost(what+"size / without", size/empty, 1.05, ""),
				atMost(what+"p50 / without", took/none, 1.5, ""))
		}
	}
	return results, nil
}

// scrapeOften is the median size and time of a scrape, once there is nothing else to do.
func (m *manager) scrapeOften(ctx context.Context) (size, took float64, err error) {
	if err := m.waitForQuiet(ctx); err != nil {
		return 0, 0, err
	}
	var sizes, times []float64
	for range scrapes {
		_, bytes, seconds, err := m.scrape()
		if err != nil {
			return 0, 0, err
		}
		sizes, times = append(sizes, float64(bytes)), append(times, seconds.Seconds())
	}
	return percentile(sizes, 50), percentile(times, 50), nil
}
