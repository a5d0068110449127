package bench

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
)

// printQuery prints what was measured of queries.
func (o *Options) printQuery(r *queryResult) error {
	if o.JSON {
		return display.JSON(o.Out, r)
	}
	out, m := new(bytes.Buffer), &r.Made
	line := func(name, format string, args ...any) {
		lead := fmt.Sprintf("%-9s", name)
		if name != "" {
			lead = o.paint(shown.Bold, lead)
		}
		fmt.Fprintln(out, strings.TrimRight(lead+fmt.Sprintf(format, args...), " "))
	}
	fmt.Fprintf(out, "%s of %s on average; %s, %s\n\n",
		display.Count(r.Events, "event", "events"), display.Bytes(int64(m.EventBytes)), display.Count(r.Cores, "core", "cores"), r.System)
	line("append", "%s events/s without an index, %s with one (first %s)", rateText(m.Plain), rateText(m.Beside), display.Number(m.Compared))
	line("", "%s events/s in all, %s the last tenth", rateText(m.All), rateText(m.LastTenth))
	line("", "%s events/s generated alone, which is part of these times", rateText(m.Maker))
	line("index", "%s records/s until all were in it, %s ms after the last", rateText(m.Indexed), msText(m.Lag))
	if r.Anew != nil {
		line("", "%s records/s rebuilt from the log, in %v", rateText(r.Anew.PerSecond), r.Anew.Took.Round(time.Millisecond))
	}
	line("disk", "%.0f bytes of index and %.0f of log for each event", m.Index, m.Log)
	line("open", "%s ms to read  %s ms to write, log and index", msText(r.Open.Read), msText(r.Open.Write))
	line("close", "%s ms after it was all written", msText(m.Closing))
	line("memory", "%s while it was written, %s while it was asked", display.Bytes(int64(m.Memory.Bytes)), display.Bytes(int64(r.Memory.Bytes)))
	line("", "(%s)", r.Memory.What)
	fmt.Fprintf(out, "\n%-17s%9s%10s%10s%10s%10s%7s\n", "query", "found", "first ms", "p50 ms", "p99 ms", "max ms", "runs")
	for _, b := range r.Asked {
		name := o.paint(shown.Bold, fmt.Sprintf("%-17s", b.Name))
		fmt.Fprintf(out, "%s%9s%10s%10s%10s%10s%7d\n", name, display.Number(b.Results), msText(b.First), msText(b.P50), msText(b.P99), msText(b.Max), b.Runs)
		fmt.Fprintln(out, o.paint(shown.Faint, "  "+b.Asks))
	}
	if r.Kept != "" {
		fmt.Fprintf(out, "\nThe log is kept in %s.\n", r.Kept)
	}
	_, err := o.Out.Write(out.Bytes())
	return err
}
