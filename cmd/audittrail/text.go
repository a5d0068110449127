package main

import (
	"io"
	"time"

	"audittrail/cmd/audittrail/internal/display"
)

func visible(s string) string                  { return display.Visible(s) }
func oneLine(s string) string                  { return display.OneLine(s) }
func fit(s string, width int) string           { return display.Fit(s, width) }
func columnsOf(s string) int                   { return display.Columns(s) }
func bytesText(n int64) string                 { return display.Bytes(n) }
func timeText(t time.Time) string              { return display.Time(t) }
func wrapText(s string, width int) []string    { return display.Wrap(s, width) }
func writeJSON(out io.Writer, value any) error { return display.JSON(out, value) }

func number[N ~int | ~int64 | ~uint64](n N) string { return display.Number(n) }

func count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	return display.Count(n, one, many)
}

func oneOrMany[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	return display.OneOrMany(n, one, many)
}
