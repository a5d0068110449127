package privacy

import (
	"context"
	"fmt"
	"time"

	"audittrail"
	"audittrail/evidence/certificate"
	"audittrail/query"
	"audittrail/record"
)

// fewSubjects is up to how many are counted one by one.
const fewSubjects = 1000

// CountRecords returns how many records in front of a sequence number are about
// one of the subjects.
func CountRecords(ctx context.Context, log *audittrail.Log, subjects []record.Subject, before uint64) (uint64, error) {
	engine := query.New(log, nil)
	if len(subjects) <= fewSubjects {
		return engine.Count(ctx, query.Query{Subjects: subjects, Size: before})
	}
	wanted := make(map[string]bool, len(subjects))
	for _, s := range subjects {
		wanted[s.String()] = true
	}
	table, err := engine.Group(ctx, query.Query{Size: before}, query.Grouping{By: []string{"subject"}})
	if err != nil {
		return 0, err
	}
	n := uint64(0)
	for _, row := range table.Rows {
		if wanted[row[0].String()] {
			n += uint64(row[1].Int())
		}
	}
	return n, nil
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
	backups, err := log.Backups()
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
