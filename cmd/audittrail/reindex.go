package main

import (
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
)

func (e *env) reindexCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "reindex",
		Short: "Make the index anew from the log",
		Long: `Reindex makes the index, which queries are answered from, anew from the log. It
is never needed: an index that is missing, damaged or of another version is made
anew by whoever writes the log next, and until then the log is read. It is for
having that done now, such as after a restore, or before a reader is given the
folder on media that it cannot write to.

Queries of other processes go on meanwhile. After an interruption, what was made
stays, and the rest follows.` + exits(ends0, ends1),
		Example: `  audittrail reindex
  audittrail reindex --dir /mnt/restored/audit`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE:    func(*cobra.Command, []string) error { return e.reindex() },
	}
}

func (e *env) reindex() error {
	o, err := e.writerOptions()
	if err != nil {
		return err
	}
	o.NoIndex = true
	open := func() (*audittrail.Log, error) { return audittrail.Open(e.logDir(), o) }
	return e.with(open, func(log *audittrail.Log) error {
		size, err := log.Size()
		if err != nil {
			return err
		}
		progress, finish := e.ticks("indexing", false)
		start := time.Now()
		bytes, err := log.Reindex(e.ctx, func(records uint64) { progress(records, size) })
		finish()
		if err != nil {
			return err
		}
		made := struct {
			Records uint64  `json:"records"`
			Bytes   int64   `json:"bytes"`
			Seconds float64 `json:"seconds"`
		}{size, bytes, time.Since(start).Seconds()}
		return e.sheet(made, []field{{"records", display.Number(size)}, {"index", display.Bytes(bytes)}})
	})
}
