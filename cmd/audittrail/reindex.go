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
		Short: "Rebuild the index from the log",
		Long: `Reindex rebuilds the index, from which queries are answered, from the log. It is
never required: the next writer rebuilds an index that is missing, damaged or of
another version, and until then queries read the log. Use it to rebuild the
index now, such as after a restore, or before the folder is copied to read-only
media.

Queries of other processes continue meanwhile. After an interruption, the next
writer indexes the rest.` + exits(ends0, ends1),
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
