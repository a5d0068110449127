package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
)

// skipped are the records that were passed over, since they were altered.
type skipped struct {
	wanted bool
	seqs   map[uint64]bool
}

// skipFlag adds --skip-altered to a command that shows records.
func (s *skipped) skipFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.wanted, "skip-altered", false, "go on past records that were altered, and say which: the status is 2 then")
}

// add adds records that were passed over.
func (s *skipped) add(seqs []uint64) {
	for _, seq := range seqs {
		if s.seqs == nil {
			s.seqs = make(map[uint64]bool)
		}
		s.seqs[seq] = true
	}
}

// number is how many were passed over.
func (s *skipped) number() uint64 {
	return uint64(len(s.seqs))
}

// end returns err, or what says that records were passed over.
func (s *skipped) end(err error) error {
	if err != nil || len(s.seqs) == 0 {
		return err
	}
	seqs := make([]uint64, 0, len(s.seqs))
	for seq := range s.seqs {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	const most = 10
	names := make([]string, 0, most)
	for _, seq := range seqs[:min(most, len(seqs))] {
		names = append(names, fmt.Sprint(seq))
	}
	more := ""
	if len(seqs) > most {
		more = ", …"
	}
	return &exitError{exitAltered, fmt.Errorf("%s left out, which the log was altered in: %s%s; run verify, which says how", display.Count(uint64(len(seqs)), "record was", "records were"), strings.Join(names, ", "), more)}
}
