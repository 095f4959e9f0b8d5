package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// scrapes is how often /metrics is read for one value: some hundred of the ticks in which a process' time is told.
const scrapes = 500

// measureScrape measures the size of /metrics, the time to read it and the manager's processor time for that, with
// executions that have ended, that ended just now, and with a tenth as many that live.
func measureScrape(ctx context.Context, s *settings) (results []Result, err error) {
	p, err := newPlane(ctx, s.definitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	p.bare = true // else an API server that has 20,000 of them takes 23 GiB
	m, err := p.manage(ctx)
	if err != nil {
		return nil, err
	}
	yesterday, now := time.Now().Add(-24*time.Hour).Truncate(time.Second), time.Now().Truncate(time.Second)
	none, err := m.scrapeOften(ctx, s, "none")
	if err != nil {
		return nil, err
	}
	results = none.tell("scrape, no execution: ")
	// populate lets the next manager find more executions, and measures what its scrapes cost.
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
		results = append(results, cost.tell("scrape, and "+name+": ")...)
		return cost, err
	}
	// Some series of the libraries' begin with the first execution that is looked at.
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
			atMost("scrape, and "+what+": size / with one", many.size/first.size, 1.05, ""),
			atMost("scrape, and "+what+": processor time / with one", many.processor/first.processor, 1.5, ""))
	}
	live := s.count / 10
	if _, err := populate(fmt.Sprintf("%d live ones", live), live, nil); err != nil {
		return nil, err
	}
	return results, nil
}

// scrapeCost is what a scrape costs: bytes, the median of seconds waited, and seconds of the manager's processor time.
type scrapeCost struct{ size, took, processor float64 }

func (c scrapeCost) tell(what string) []Result {
	return []Result{
		told(what+"size", c.size, "bytes"),
		told(what+"p50", c.took*1e3, "ms"),
		told(what+"processor time", c.processor*1e3, "ms"),
	}
}

// scrapeOften measures once there is nothing else to do.
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
