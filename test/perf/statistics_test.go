package main

import (
	"math"
	"testing"
)

func TestExponent(t *testing.T) {
	sizes := []float64{10, 100, 1000}
	for name, test := range map[string]struct {
		cost func(float64) float64
		want float64
	}{
		"constant":  {func(float64) float64 { return 7 }, 0},
		"linear":    {func(n float64) float64 { return 3 * n }, 1},
		"quadratic": {func(n float64) float64 { return n * n }, 2},
	} {
		var costs []float64
		for _, size := range sizes {
			costs = append(costs, test.cost(size))
		}
		if got := exponent(sizes, costs); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: want %v, got %v", name, test.want, got)
		}
	}
}

func TestPercentile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := percentile(values, p); got != want {
			t.Errorf("percentile %v: want %v, got %v", p, want, got)
		}
	}
}

func TestResultBounds(t *testing.T) {
	for name, test := range map[string]struct {
		result Result
		want   bool
	}{
		"below the upper bound": {atMost("r", 1, 2, ""), true},
		"at the upper bound":    {atMost("r", 2, 2, ""), true},
		"above the upper bound": {atMost("r", 3, 2, ""), false},
		"not a number":          {atMost("r", math.NaN(), 2, ""), false},
		"below the lower bound": {atLeast("r", 1, 2), false},
		"at the lower bound":    {atLeast("r", 2, 2), true},
		"for information only":  {info("r", 1, ""), true},
	} {
		if test.result.OK != test.want {
			t.Errorf("%s: want %v, got %v", name, test.want, test.result)
		}
	}
}
