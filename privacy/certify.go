package privacy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"audittrail"
	"audittrail/certificate"
	"audittrail/query"
	"audittrail/record"
)

// fewSubjects is the largest number of subjects that are counted one by one.
const fewSubjects = 1000

// AffectedRecords counts the records that an erasure affects.
type AffectedRecords struct {
	Records uint64 // about the subjects, also those in archives
	Unknown uint64 // records, about anybody, in archives that could not be read
	// Acted counts the records, also those in archives and those of Records,
	// that name the subjects as actors. ActedUnknown counts the records, about
	// anybody, in archives that could not be read for that.
	Acted        uint64
	ActedUnknown uint64
}

// countRecords returns how many records each of some erasures affected; the
// newest erasure is the last. It reads the archives that are available.
func countRecords(ctx context.Context, log *audittrail.Log, engine *query.Engine, done []*audittrail.ErasureOrder) ([]AffectedRecords, error) {
	counts := make([]AffectedRecords, len(done))
	// No record after an erasure is about its subjects: the last erasure bounds
	// all.
	of := map[record.Subject]int{}
	for i, f := range done {
		for _, s := range f.Subjects {
			of[s] = i
		}
	}
	unreached, err := countUpTo(ctx, log, engine, of, done[len(done)-1].Receipt.Seq, counts)
	if err != nil {
		return nil, err
	}
	for i, f := range done {
		unreached.into(&counts[i], f.Receipt.Seq)
	}
	return counts, nil
}

// count counts the records of subjects, whose places in counts are given, in the
// first records of a log, or if size is 0, in all.
func count(ctx context.Context, log *audittrail.Log, engine *query.Engine, of map[record.Subject]int, size uint64, counts []AffectedRecords) error {
	unreached, err := countUpTo(ctx, log, engine, of, size, counts)
	if err != nil {
		return err
	}
	for _, i := range of {
		unreached.into(&counts[i], record.MaxSeq)
	}
	return nil
}

// archives are the archives that could not be read, with the subjects of their
// records and with the actors.
type archives struct {
	about, acted []audittrail.UnreachableArchive
}

// into adds the unknown records of segments that begin before size.
func (a *archives) into(c *AffectedRecords, size uint64) {
	for _, u := range a.about {
		if u.First < size {
			c.Unknown += u.Records
		}
	}
	for _, u := range a.acted {
		if u.First < size {
			c.ActedUnknown += u.Records
		}
	}
}

func countUpTo(ctx context.Context, log *audittrail.Log, engine *query.Engine, of map[record.Subject]int, size uint64, counts []AffectedRecords) (*archives, error) {
	subjects := slices.Collect(maps.Keys(of))
	if len(subjects) == 0 {
		return new(archives), nil
	}
	away, about, err := log.CountArchivedBySubject(ctx, subjects, size)
	if err != nil {
		return nil, err
	}
	for s, n := range away {
		counts[of[s]].Records += n
	}
	did, acted, err := log.CountArchivedByActor(ctx, subjects, size)
	if err != nil {
		return nil, err
	}
	for s, n := range did {
		counts[of[s]].Acted += n
	}
	whose := func(q query.Query, by string, add func(c *AffectedRecords, n uint64)) error {
		q.Size = size
		table, err := engine.Group(ctx, q, query.Grouping{By: []string{by}})
		if err != nil {
			return err
		}
		for _, row := range table.Rows {
			if row[0].Kind() == query.Absent {
				continue // nobody acted
			}
			s, err := record.ParseSubject(row[0].String())
			if err != nil {
				return err
			}
			if i, ok := of[s]; ok {
				add(&counts[i], uint64(row[1].Int()))
			}
		}
		return nil
	}
	few := query.Query{}
	if len(subjects) <= fewSubjects {
		few.Subjects = subjects
	}
	if err := whose(few, "subject", func(c *AffectedRecords, n uint64) { c.Records += n }); err != nil {
		return nil, err
	}
	err = whose(query.Query{}, "actor_subject", func(c *AffectedRecords, n uint64) { c.Acted += n })
	return &archives{about, acted}, err
}

// Certify makes the certificates of erasures, the newest of which is the last,
// as the log returned them when it carried them out, or as they are on record.
// It counts the records that each of them affected.
func Certify(ctx context.Context, log *audittrail.Log, engine *query.Engine, done []*audittrail.ErasureOrder, now time.Time) ([]*certificate.Certificate, error) {
	if len(done) == 0 {
		return nil, nil
	}
	counts, err := countRecords(ctx, log, engine, done)
	if err != nil {
		return nil, fmt.Errorf("count the records that an erasure affected: %w", err)
	}
	all := make([]*certificate.Certificate, len(done))
	for i, o := range done {
		if all[i], err = certify(ctx, log, o, counts[i], now); err != nil {
			return nil, fmt.Errorf("make certificate of the erasure that record %d ordered: %w", o.Receipt.Seq, err)
		}
	}
	return all, nil
}

func certify(ctx context.Context, log *audittrail.Log, f *audittrail.ErasureOrder, covered AffectedRecords, now time.Time) (*certificate.Certificate, error) {
	c := &certificate.Certificate{
		Issued: now.UTC().Round(0), Before: f.Before, Records: covered.Records, Unknown: covered.Unknown,
		Acted: covered.Acted, ActedUnknown: covered.ActedUnknown,
		Seq: f.Receipt.Seq, Subjects: f.Subjects, Reason: f.Reason, Basis: f.Basis,
	}
	var err error
	if c.ErasureRecord, err = log.Disclose(ctx, f.Receipt.Seq); err != nil {
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
