package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/internal/vfs"
)

// A bench is one run of measurements.
type bench struct {
	Options
	ctx    context.Context
	o      Load
	dir    string
	pool   []event.Event
	result result
}

func (b *bench) logDir() string { return filepath.Join(b.dir, "audit") }

// stage says on a terminal what is being measured; nothing at the end.
func (b *bench) stage(what string) {
	if b.Stages == nil {
		return
	}
	if what != "" {
		what = "audittrail: measuring " + what + " …"
	}
	// The measurement continues where its stage cannot be shown.
	_, _ = fmt.Fprintf(b.Stages, "\r\x1b[K%s", what)
}

// How long the parts take whose amount of work is not given.
const (
	hashFor   = 300 * time.Millisecond
	aloneFor  = 4 * time.Second
	verifyFor = time.Second
	readFor   = time.Second

	aloneCalls  = 2000
	randomReads = 20_000
	opens       = 5
)

// run measures everything. Two quantities of one ratio are measured one right
// after the other.
func (b *bench) run(ctx context.Context) error {
	if err := b.enoughRoom(); err != nil {
		return err
	}
	b.pool = eventPool(b.o.Size)
	log, err := audittrail.Open(b.logDir(), audittrail.Options{Create: true, Origin: "audittrail.bench.example", NoIndex: true})
	if err != nil {
		return err
	}
	err = b.whileWriting(ctx, log)
	if err = errors.Join(err, log.Close()); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.opening, b.verifying, b.reading} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b.result.Memory = peakMemory()
	return nil
}

// enoughRoom refuses to fill a disk.
func (b *bench) enoughRoom() error {
	free, err := vfs.OS.Free(b.dir)
	if err != nil {
		return err
	}
	// A record is larger than its event, for being sealed and in text, and
	// there is one long write of as much besides.
	need := 2*uint64(b.o.Events)*(uint64(b.o.Size)*3/2+1000) + 64<<20
	if free < need {
		return fmt.Errorf("%s free on that disk, and some %s needed; take fewer or smaller events, or another disk with --dir",
			display.Bytes(int64(free)), display.Bytes(int64(need)))
	}
	return nil
}

func (b *bench) whileWriting(ctx context.Context, log *audittrail.Log) error {
	b.stage("appends")
	// The first event of a person makes a key: that is not what is measured.
	if _, err := log.AppendBatch(ctx, b.pool); err != nil {
		return err
	}
	stat, err := log.Stat(ctx)
	if err != nil {
		return err
	}
	b.result.RecordBytes = int(stat.Bytes / int64(stat.Records))
	appendOne := func(i int) error {
		_, err := log.Append(ctx, b.pool[i%len(b.pool)])
		return err
	}
	took, elapsed, err := b.load(ctx, b.o.Events, b.o.Writers, appendOne)
	if err != nil {
		return err
	}
	rate := perSecond(b.o.Events, elapsed)
	b.result.Append = appendRate{rate, rate * figure(b.result.RecordBytes) / 1e6, took.summary()}
	b.stage("one long write")
	if b.result.Limits.Write, err = b.longWrite(ctx); err != nil {
		return err
	}
	b.stage("one writer alone")
	return b.alone(ctx, appendOne)
}

// alone measures single appends, and between them bare writes and syncs of as
// many bytes, so that both meet the same disk.
func (b *bench) alone(ctx context.Context, appendOne func(int) error) error {
	bare, err := b.bareWriter()
	if err != nil {
		return err
	}
	const turn = 25
	var ours, theirs latencies
	began := b.Now()
	for n := 0; n < min(aloneCalls, max(b.o.Events, turn)) && b.Now().Sub(began) < aloneFor; n += turn {
		err = errors.Join(b.each(ctx, turn, &theirs, bare.write), b.each(ctx, turn, &ours, appendOne))
		if err != nil {
			break
		}
	}
	if err = errors.Join(err, bare.close()); err != nil {
		return err
	}
	b.result.Alone, b.result.Limits.Sync = ours.summary(), theirs.summary()
	return nil
}

func (b *bench) opening(context.Context) error {
	b.stage("opening")
	measure := func(o audittrail.Options) (figure, error) {
		var took []time.Duration
		for range opens {
			began := b.Now()
			log, err := audittrail.Open(b.logDir(), o)
			took = append(took, b.Now().Sub(began))
			if err != nil {
				return 0, err
			}
			if err := log.Close(); err != nil {
				return 0, err
			}
		}
		slices.Sort(took)
		return milliseconds(took[len(took)/2]), nil
	}
	var err error
	if b.result.Open.Read, err = measure(audittrail.Options{ReadOnly: true}); err != nil {
		return err
	}
	b.result.Open.Write, err = measure(audittrail.Options{})
	return err
}

func (b *bench) verifying(ctx context.Context) error {
	b.stage("SHA-256")
	b.result.Limits.SHA256One = b.hash(1)
	b.result.Limits.SHA256All = b.hash(b.result.Cores)
	b.stage("verification")
	began := b.Now()
	var took []time.Duration
	var v *audittrail.Verification
	for len(took) < 3 || b.Now().Sub(began) < verifyFor {
		once := b.Now()
		var err error
		if v, err = audittrail.VerifyDir(ctx, b.logDir(), audittrail.Options{}, audittrail.VerifyOptions{}); err != nil {
			return err
		}
		if !v.Valid() {
			return fmt.Errorf("verify: %s in what was just written", display.Count(v.FindingCount, "problem", "problems"))
		}
		took = append(took, b.Now().Sub(once))
	}
	slices.Sort(took)
	median := took[len(took)/2]
	b.result.Records = v.Records
	b.result.Verify = throughput{perSecond(v.Records, median), perSecond(v.Bytes, median) / 1e6}
	return nil
}

func (b *bench) reading(ctx context.Context) error {
	b.stage("reads")
	log, err := audittrail.Open(b.logDir(), audittrail.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(b.readAll(ctx, log), b.readSome(ctx, log), log.Close())
}

// readAll reads records in order, with their contents.
func (b *bench) readAll(ctx context.Context, log *audittrail.Log) error {
	began, n := b.Now(), 0
	for _, err := range log.Records(ctx, 0, b.result.Records) {
		if err != nil {
			return err
		}
		if n++; n%1000 == 0 && b.Now().Sub(began) > readFor {
			break
		}
	}
	b.result.Read.InOrder = perSecond(n, b.Now().Sub(began))
	return nil
}

// readSome reads records at random, with their contents.
func (b *bench) readSome(ctx context.Context, log *audittrail.Log) error {
	rng := rand.New(rand.NewPCG(1, 2))
	get := func(int) error {
		_, err := log.Get(ctx, rng.Uint64N(b.result.Records))
		return err
	}
	var took latencies
	began, n := b.Now(), 0
	for n < randomReads && b.Now().Sub(began) < readFor {
		const some = 100
		if err := b.each(ctx, some, &took, get); err != nil {
			return err
		}
		n += some
	}
	b.result.Read.Random = perSecond(n, b.Now().Sub(began))
	b.result.Read.Latency = took.summary()
	return nil
}
