package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
)

// A result is what Run measured, as it prints it in JSON. Bytes are
// those on disk, and a megabyte is a million of them.
type result struct {
	Events      int    `json:"events"`
	Writers     int    `json:"writers"`
	Size        int    `json:"size"`
	RecordBytes int    `json:"record_bytes"` // of one event's line, on average
	Records     uint64 `json:"records"`      // in the log at the end
	Cores       int    `json:"cores"`
	System      string `json:"system"`
	Go          string `json:"go"`

	Append appendRate `json:"append"`
	Alone  latency    `json:"alone"`
	Verify throughput `json:"verify"`
	Open   struct {
		Write figure `json:"write_ms"`
		Read  figure `json:"read_ms"`
	} `json:"open"`
	Read struct {
		InOrder figure  `json:"in_order_per_s"`
		Random  figure  `json:"random_per_s"`
		Latency latency `json:"random"`
	} `json:"read"`
	Memory memoryUse `json:"memory"`

	Limits struct {
		SHA256One figure  `json:"sha256_one_core_mb_per_s"`
		SHA256All figure  `json:"sha256_all_cores_mb_per_s"`
		Sync      latency `json:"write_sync"`
		Write     figure  `json:"long_write_mb_per_s"`
	} `json:"limits"`
	Ratios ratios `json:"ratios"`
	Kept   string `json:"kept,omitempty"`
}

type appendRate struct {
	EventsPerSecond figure `json:"events_per_s"`
	MBPerSecond     figure `json:"mb_per_s"`
	latency
}

type throughput struct {
	RecordsPerSecond figure `json:"records_per_s"`
	MBPerSecond      figure `json:"mb_per_s"`
}

// ratios are what is had of the machine's limits.
type ratios struct {
	Append figure `json:"append_of_long_write"`
	Alone  figure `json:"alone_p50_of_write_sync_p50"`
	Verify figure `json:"verify_of_sha256_all_cores"`
}

// print prints what was measured.
func (o *Options) print(r *result) error {
	r.Ratios = ratios{
		Append: r.Append.MBPerSecond.of(r.Limits.Write),
		Alone:  r.Alone.P50.of(r.Limits.Sync.P50),
		Verify: r.Verify.MBPerSecond.of(r.Limits.SHA256All),
	}
	if o.JSON {
		return display.JSON(o.Out, r)
	}
	out := new(bytes.Buffer)
	fmt.Fprintf(out, "%s of %s, in records of %s; %s, %s\n",
		display.Count(r.Events, "event", "events"), display.Bytes(int64(r.Size)), display.Bytes(int64(r.RecordBytes)),
		display.Count(r.Cores, "core", "cores"), r.System)
	for _, p := range r.paragraphs() {
		out.WriteByte('\n')
		for i, line := range p.lines {
			name := ""
			if i == 0 {
				name = p.name
			}
			lead := fmt.Sprintf("%-9s", name)
			if i == 0 {
				lead, line = o.paint(shown.Bold, lead), o.paint(shown.Faint, line)
			}
			if i == p.ratio {
				line = o.paint(shown.Bold, line)
			}
			fmt.Fprintln(out, strings.TrimRight(lead+line, " "))
		}
	}
	if r.Kept != "" {
		fmt.Fprintf(out, "\nThe log is kept in %s.\n", r.Kept)
	}
	_, err := o.Out.Write(out.Bytes())
	return err
}

// A paragraph is what is said of one thing: first what it is, then figures.
type paragraph struct {
	name  string
	ratio int // the line that compares; 0 if there is none
	lines []string
}

func (r *result) paragraphs() []paragraph {
	list := []paragraph{
		{"append", 2, []string{
			fmt.Sprintf("durable events from %s at once: each returns when on disk", display.Count(r.Writers, "writer", "writers")),
			fmt.Sprintf("%s events/s  %s MB/s  %s", rateText(r.Append.EventsPerSecond), rateText(r.Append.MBPerSecond), r.Append.text()),
			fmt.Sprintf("= %s of one long write to this disk with one sync (%s MB/s)", percent(r.Ratios.Append), rateText(r.Limits.Write)),
		}},
		{"alone", 2, []string{
			"one writer, who waits for the disk with each event",
			r.Alone.text(),
			fmt.Sprintf("= %.2f times, at p50, a bare write and sync of as many bytes:", r.Ratios.Alone),
			r.Limits.Sync.text(),
		}},
		{"verify", 2, []string{
			"every hash, the chain, the tree, the signature, the keys",
			fmt.Sprintf("%s records/s  %s MB/s", rateText(r.Verify.RecordsPerSecond), rateText(r.Verify.MBPerSecond)),
			fmt.Sprintf("= %s of SHA-256 alone on all cores (%s MB/s; on one %s)", percent(r.Ratios.Verify), rateText(r.Limits.SHA256All), rateText(r.Limits.SHA256One)),
		}},
		{"open", 0, []string{
			fmt.Sprintf("a log of %s (median of %d)", display.Count(r.Records, "record", "records"), opens),
			fmt.Sprintf("%s ms to write  %s ms to read", msText(r.Open.Write), msText(r.Open.Read)),
		}},
		{"read", 0, []string{
			"records with their contents, decrypted and checked, on one core",
			fmt.Sprintf("%s records/s in order", rateText(r.Read.InOrder)),
			fmt.Sprintf("%s records/s at random  %s", rateText(r.Read.Random), r.Read.Latency.text()),
		}},
		{"memory", 0, []string{
			r.Memory.What,
			display.Bytes(int64(r.Memory.Bytes)),
		}},
	}
	// No disk that keeps what it is given is that fast.
	const suspicious = 0.02 // ms
	if r.Limits.Sync.P50 < suspicious {
		list = append(list, paragraph{"mind", 0, []string{
			"A sync costs nothing here: this folder is in memory, or its disk does not",
			"keep its word. Choose another with --dir.",
		}})
	}
	return list
}

// A figure is a number that is good for no more than four digits.
type figure float64

// MarshalJSON writes four digits.
func (f figure) MarshalJSON() ([]byte, error) {
	short, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', 4, 64), 64)
	return strconv.AppendFloat(nil, short, 'f', -1, 64), err
}

// of is f as a part of whole; 0 if a coarse clock has measured nothing.
func (f figure) of(whole figure) figure {
	if whole == 0 {
		return 0
	}
	return f / whole
}

// text writes a latency.
func (l latency) text() string {
	return fmt.Sprintf("p50 %s  p99 %s  max %s ms", msText(l.P50), msText(l.P99), msText(l.Max))
}

// msText writes milliseconds in three digits.
func msText(ms figure) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.3f", ms)
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return display.Number(int64(ms))
}

// rateText writes a rate in whole numbers, or in three digits.
func rateText(r figure) string {
	if r < 100 {
		return fmt.Sprintf("%.3g", r)
	}
	return display.Number(int64(r))
}

func percent(part figure) string { return fmt.Sprintf("%.0f%%", 100*part) }
