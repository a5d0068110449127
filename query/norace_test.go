//go:build !race

package query_test

const atOnce = 10_000
