package privacy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"audittrail"
	"audittrail/evidence/certificate"
	"audittrail/query"
	"audittrail/record"
)

// fewSubjects is up to how many are counted by themselves.
const fewSubjects = 1000

// A Covered is how much an erasure covered.
type Covered struct {
	Records uint64 // also those in archives
	Unknown uint64 // records, about anybody, in archives that could not be read
}

// CountRecords returns how many records each of some erasures covered, the
// newest of which is the last. It reads archives where they are.
func CountRecords(ctx context.Context, log *audittrail.Log, engine *query.Engine, done []*audittrail.Forgotten) ([]Covered, error) {
	counts := make([]Covered, len(done))
	if len(done) == 0 {
		return counts, nil
	}
	// No record behind an erasure is about its subjects: the last one bounds all.
	last := done[len(done)-1]
	of := map[record.Subject]int{}
	for i, f := range done {
		for _, s := range f.Subjects {
			of[s] = i
		}
	}
	away, unreached, err := log.CountArchived(ctx, slices.Collect(maps.Keys(of)), last.Receipt.Seq)
	if err != nil {
		return nil, err
	}
	for s, n := range away {
		counts[of[s]].Records += n
	}
	for i, f := range done {
		for _, u := range unreached {
			if u.First < f.Receipt.Seq {
				counts[i].Unknown += u.Records
			}
		}
	}
	if len(done) == 1 && len(last.Subjects) <= fewSubjects {
		n, err := engine.Count(ctx, query.Query{Subjects: last.Subjects, Size: last.Receipt.Seq})
		counts[0].Records += n
		return counts, err
	}
	table, err := engine.Group(ctx, query.Query{Size: last.Receipt.Seq}, query.Grouping{By: []string{"subject"}})
	if err != nil {
		return nil, err
	}
	for _, row := range table.Rows {
		s, err := record.ParseSubject(row[0].String())
		if err != nil {
			return nil, err
		}
		if i, ok := of[s]; ok {
			counts[i].Records += uint64(row[1].Int())
		}
	}
	return counts, nil
}

// Certify makes the certificate of an erasure, as it was ordered, that covered so
// much.
func Certify(ctx context.Context, log *audittrail.Log, f *audittrail.Forgotten, order *audittrail.Erasure, covered Covered, now time.Time) (*certificate.Certificate, error) {
	c, err := certify(ctx, log, f, order, covered, now)
	if err != nil {
		return nil, fmt.Errorf("make certificate of the erasure that record %d ordered: %w", f.Receipt.Seq, err)
	}
	return c, nil
}

func certify(ctx context.Context, log *audittrail.Log, f *audittrail.Forgotten, order *audittrail.Erasure, covered Covered, now time.Time) (*certificate.Certificate, error) {
	c := &certificate.Certificate{
		Issued: now.UTC().Round(0), Before: f.Before, Records: covered.Records, Unknown: covered.Unknown,
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
