package service

import (
	"context"

	"audittrail"
	"audittrail/access"
	"audittrail/record"
)

// A ProveRequest asks for the proof that the log has a record.
type ProveRequest struct{ Record Ref }

// Prove returns the proof that the log has a record (C2SP tlog-proof). It needs
// verify.
func (s *Session) Prove(ctx context.Context, q ProveRequest) ([]byte, error) {
	log, _, err := s.v.log(ctx, access.Verify)
	if err != nil {
		return nil, err
	}
	seq, err := s.v.signedSeq(ctx, q.Record)
	if err != nil {
		return nil, err
	}
	return log.Prove(ctx, seq)
}

// A StatRequest asks what there is in the log.
type StatRequest struct{}

// A Stat is what there is in the log, in numbers.
type Stat struct {
	audittrail.Stat
	Head *record.Hash // of the last record; nil if there is none
}

// Stat returns what there is in the log. It needs read_events, without a scope.
func (s *Session) Stat(ctx context.Context, _ StatRequest) (*Stat, error) {
	log, _, err := s.v.log(ctx, access.ReadEvents)
	if err != nil {
		return nil, err
	}
	out := &Stat{}
	if out.Stat, err = log.Stat(ctx); err != nil {
		return nil, err
	}
	if out.Records > out.First {
		out.Head, err = s.v.hash(ctx, out.Records-1)
	}
	return out, err
}
