package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// Answers say how long single answers took, in seconds.
type Answers struct {
	Count  int     `json:"count"`
	Median float64 `json:"median_s"`
	P90    float64 `json:"p90_s"`
	P99    float64 `json:"p99_s"`

	// Over is how much longer they took than the same from the upstream: the
	// median, and the value that nine of ten differences are below. Zero where
	// there is nothing to compare with.
	Over    float64 `json:"over_s,omitempty"`
	OverP90 float64 `json:"over_p90_s,omitempty"`

	// PerSecond is how many came in a second. Zero where they were asked for one
	// by one, with pauses.
	PerSecond float64 `json:"per_second,omitempty"`
}

// answersOf makes the figures of some times, beside those that the same took
// elsewhere, one by one, unless there are none.
func answersOf(took, elsewhere []time.Duration) *Answers {
	a := &Answers{Count: len(took), Median: quantile(took, 0.5), P90: quantile(took, 0.9), P99: quantile(took, 0.99)}
	if len(elsewhere) == 0 {
		return a
	}
	over := make([]time.Duration, len(took))
	for i := range took {
		over[i] = took[i] - elsewhere[i]
	}
	a.Over, a.OverP90 = quantile(over, 0.5), quantile(over, 0.9)
	return a
}

// quantile gives the value, in seconds, that a share of a list is not above.
func quantile(list []time.Duration, share float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Seconds()
}

// A client asks as one that has never asked before: each time over a connection
// of its own.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// asJSON is what pip names in Accept first.
const asJSON = "application/vnd.pypi.simple.v1+json"

// get asks for something, reads all of it, and says how long that took. An answer
// with another status is an error.
func get(ctx context.Context, url string, status int) ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Accept", asJSON)
	began := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if err == nil && resp.StatusCode != status {
		err = fmt.Errorf("%s, want %d: %.200s", resp.Status, status, data)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", url, err)
	}
	return data, took, nil
}
