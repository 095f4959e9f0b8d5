package main

import (
	"math"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	// rounds is how many times each function is measured, in turn.
	rounds = 7
	// slice is the minimum time of one function in one round.
	slice = 30 * time.Millisecond
)

// interleave measures functions in turn, so that disturbances affect all of them. It returns the seconds of processor time per
// call, garbage collection included: one value per function and round.
func interleave(functions ...func()) [][]float64 {
	calls := make([]int, len(functions))
	for i, f := range functions {
		f()
		began := processorTime()
		for calls[i] == 0 || processorTime()-began < slice/10 {
			f()
			calls[i]++
		}
		calls[i] *= 10
	}
	measured := make([][]float64, len(functions))
	for range rounds {
		for i, f := range functions {
			runtime.GC()
			began := processorTime()
			for range calls[i] {
				f()
			}
			measured[i] = append(measured[i], (processorTime()-began).Seconds()/float64(calls[i]))
		}
	}
	return measured
}

// processorTime is the processor time that this process has used.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // the arguments are constants
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// ratio is the median over the rounds of one function's time divided by the other's.
func ratio(a, b []float64) float64 {
	quotients := make([]float64, len(a))
	for i := range a {
		quotients[i] = a[i] / b[i]
	}
	return percentile(quotients, 50)
}

// allocations counts the allocations and bytes of a call.
func allocations(f func()) (count, bytes float64) {
	const calls = 5
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / calls, float64(after.TotalAlloc-before.TotalAlloc) / calls
}

// percentile is the value that p percent of the values do not exceed.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

// exponent is the growth of the cost with the size: 1 is linear, 2 is quadratic. It is the slope of the least-squares line
// through the logarithms.
func exponent(sizes, costs []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(sizes))
	for i := range sizes {
		x, y := math.Log(sizes[i]), math.Log(costs[i])
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
