package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
)

// skipped are the altered records that were skipped.
type skipped struct {
	wanted bool
	seqs   map[uint64]bool
}

// skipFlag adds --skip-altered to a command that shows records.
func (s *skipped) skipFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.wanted, "skip-altered", false, "skip altered records and list them; the exit status is then 2")
}

// add adds skipped records.
func (s *skipped) add(seqs []uint64) {
	for _, seq := range seqs {
		if s.seqs == nil {
			s.seqs = make(map[uint64]bool)
		}
		s.seqs[seq] = true
	}
}

// number returns how many were skipped.
func (s *skipped) number() uint64 {
	return uint64(len(s.seqs))
}

// end returns err, or an error that lists the skipped records.
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
	return &exitError{exitAltered, fmt.Errorf("%s altered and left out: %s%s; run verify, which describes the alterations", display.Count(uint64(len(seqs)), "record was", "records were"), strings.Join(names, ", "), more)}
}
