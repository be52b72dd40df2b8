package main

import (
	"math/rand/v2"
	"slices"
)

// spread is the middle of a list of numbers, and where the middle may really be.
type spread struct {
	median    float64
	low, high float64 // 95 % interval of the median by bootstrap; the extremes when there are few values
	few       bool    // too few values to claim anything
}

// differs tells of a ratio whether its difference to 1 is no accident.
func (s spread) differs() bool { return !s.few && (1 < s.low || 1 > s.high) }

// How an interval is found.
const (
	resamples    = 2000
	fewValues    = 5 // below this many, resampling only pretends
	lowerPercent = 2.5
	upperPercent = 97.5
)

// spreadOf returns the spread of values, which it leaves as they are. Equal values give equal results: the resampling is seeded.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{few: true}
	}
	s := spread{median: median(values), low: slices.Min(values), high: slices.Max(values)}
	if len(values) < fewValues {
		s.few = true
		return s
	}
	random := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, resamples)
	draw := make([]float64, len(values))
	for i := range medians {
		for j := range draw {
			draw[j] = values[random.IntN(len(values))]
		}
		medians[i] = median(draw)
	}
	slices.Sort(medians)
	s.low = medians[int(lowerPercent/100*resamples)]
	s.high = medians[int(upperPercent/100*resamples)]
	return s
}

// median returns the middle of values, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
