package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// scrapes is the number of scrapes for one value: they take about a hundred ticks of the process' processor time.
const scrapes = 500

// measureScrape measures the size of /metrics and the manager's processor time for a scrape, with executions that ended
// yesterday, with executions that ended just now, and with a tenth as many live executions.
func measureScrape(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newControlPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	p.skipEndedWorkflows = true // the API server takes 23 GiB of memory for 20,000 Workflows
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	yesterday, now := time.Now().Add(-24*time.Hour).Truncate(time.Second), time.Now().Truncate(time.Second)
	none, err := m.scrapeOften(ctx, s, "none")
	if err != nil {
		return nil, err
	}
	results = none.results("scrape, no execution: ")
	// populate adds executions while no manager runs, and measures the scrapes of the next manager.
	populate := func(name string, count int, ended *time.Time) (cost scrapeCost, err error) {
		prefix := fmt.Sprintf("s%d", len(results))
		if m, err = p.manageAfter(ctx, m, func() error { return p.seedAll(ctx, prefix, 0, count, ended) }); err != nil {
			return cost, err
		}
		if ended == nil {
			if err := m.waitForActive(ctx, count); err != nil {
				return cost, err
			}
		}
		cost, err = m.scrapeOften(ctx, s, strings.ReplaceAll(name, " ", "-"))
		results = append(results, cost.results("scrape, and "+name+": ")...)
		return cost, err
	}
	// Some series of the libraries start with the first reconcile.
	first, err := populate("one that has ended", 1, &yesterday)
	if err != nil {
		return nil, err
	}
	for _, many := range []struct {
		name  string
		ended *time.Time
	}{{"ended yesterday", &yesterday}, {"ended just now", &now}} {
		what := fmt.Sprintf("%d that %s", s.count, many.name)
		many, err := populate(what, s.count, many.ended)
		if err != nil {
			return nil, err
		}
		results = append(results,
			atMost("scrape, and "+what+": size / with one", many.size/first.size, maxScrapeSize, ""),
			atMost("scrape, and "+what+": processor time / with one", many.processor/first.processor, maxScrapeTime, ""))
	}
	live := s.count / 10
	if _, err := populate(fmt.Sprintf("%d live ones", live), live, nil); err != nil {
		return nil, err
	}
	return results, nil
}

// scrapeCost is the size of a scrape in bytes, the median of its seconds, and the manager's processor time in seconds.
type scrapeCost struct{ size, took, processor float64 }

func (c scrapeCost) results(what string) []Result {
	return []Result{
		info(what+"size", c.size, "bytes"),
		info(what+"p50", c.took*1e3, "ms"),
		info(what+"processor time", c.processor*1e3, "ms"),
	}
}

// scrapeOften waits until the manager is idle, and measures its scrapes.
func (m *manager) scrapeOften(ctx context.Context, s *settings, name string) (cost scrapeCost, err error) {
	if err := m.waitForQuiet(ctx); err != nil {
		return cost, err
	}
	before, err := m.processor()
	if err != nil {
		return cost, err
	}
	go m.profile(s, "scrape-"+name, 1)
	var sizes, times []float64
	for range scrapes {
		_, bytes, seconds, err := m.scrape()
		if err != nil {
			return cost, err
		}
		sizes, times = append(sizes, float64(bytes)), append(times, seconds.Seconds())
	}
	after, err := m.processor()
	return scrapeCost{percentile(sizes, 50), percentile(times, 50), (after - before) / scrapes}, err
}
