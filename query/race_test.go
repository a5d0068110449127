//go:build race

package query_test

// atOnce is how many queries are asked at once: the race detector follows some
// 8,000 goroutines at the most.
const atOnce = 6_000
