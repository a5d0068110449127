package privacy

import (
	"context"
	"fmt"
	"time"

	"audittrail"
	"audittrail/evidence/certificate"
	"audittrail/query"
)

// fewSubjects is up to how many are counted by themselves.
const fewSubjects = 1000

// CountRecords returns how many records each of some erasures covered, the
// newest of which is the last.
func CountRecords(ctx context.Context, engine *query.Engine, done []*audittrail.Forgotten) ([]uint64, error) {
	counts := make([]uint64, len(done))
	if len(done) == 0 {
		return counts, nil
	}
	// No record behind an erasure is about its subjects: the last one bounds all.
	last := done[len(done)-1]
	var err error
	if len(done) == 1 && len(last.Subjects) <= fewSubjects {
		counts[0], err = engine.Count(ctx, query.Query{Subjects: last.Subjects, Size: last.Receipt.Seq})
		return counts, err
	}
	of := map[string]int{}
	for i, f := range done {
		for _, s := range f.Subjects {
			of[s.String()] = i
		}
	}
	table, err := engine.Group(ctx, query.Query{Size: last.Receipt.Seq}, query.Grouping{By: []string{"subject"}})
	if err != nil {
		return nil, err
	}
	for _, row := range table.Rows {
		if i, ok := of[row[0].String()]; ok {
			counts[i] += uint64(row[1].Int())
		}
	}
	return counts, nil
}

// Certify makes the certificate of an erasure, as it was ordered, that covered so
// many records.
func Certify(ctx context.Context, log *audittrail.Log, f *audittrail.Forgotten, order *audittrail.Erasure, records uint64, now time.Time) (*certificate.Certificate, error) {
	c, err := certify(ctx, log, f, order, records, now)
	if err != nil {
		return nil, fmt.Errorf("make certificate of the erasure that record %d ordered: %w", f.Receipt.Seq, err)
	}
	return c, nil
}

func certify(ctx context.Context, log *audittrail.Log, f *audittrail.Forgotten, order *audittrail.Erasure, records uint64, now time.Time) (*certificate.Certificate, error) {
	c := &certificate.Certificate{
		Issued: now.UTC().Round(0), Before: f.Before, Records: records,
		Seq: f.Receipt.Seq, Subjects: f.Subjects, Reason: order.Reason, Basis: order.Basis,
	}
	var err error
	if c.Barrier, err = log.Disclose(ctx, f.Receipt.Seq); err != nil {
		return nil, err
	}
	if c.Proof, err = log.Prove(ctx, f.Receipt.Seq); err != nil {
		return nil, err
	}
	if c.Consistency, err = log.ProveConsistency(ctx, f.Before); err != nil {
		return nil, err
	}
	backups, err := log.Backups(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range backups {
		c.Backups = append(c.Backups, certificate.Backup{ID: b.ID, Created: b.Created, Expires: b.Expires})
	}
	digest, err := c.Digest()
	if err != nil {
		return nil, err
	}
	c.Signature, err = log.SignStatement(certificate.Kind, digest)
	return c, err
}
