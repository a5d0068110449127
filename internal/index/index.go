package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"audittrail/internal/index/block"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

const (
	// DefaultBlockRows is the number of records of a new block.
	DefaultBlockRows = 16384
	// maxRows is the largest number of records of a merged block.
	maxRows = 1 << 21
	// idleRows is the number of records from which on a block is written: fewer
	// are not worth a file, and are read from the log.
	idleRows = 1024
	// queueBytes bounds the records that wait to be indexed. Those beyond it
	// are read from the log again.
	queueBytes = 16 << 20
	// maxPending is the largest number of full tables that wait to be written.
	maxPending = 2

	defaultInMemory = 1 << 16
	defaultCache    = 192 << 20
)

// Options set how an index is kept. The zero value is that of a reader.
type Options struct {
	// Write is set by the process that has the log open for writing.
	Write bool
	// FS is the file system that the log is on.
	FS vfs.FS
	// Logger receives a message when part of the index is built again; nil
	// discards it.
	Logger *slog.Logger
	// CacheBytes bounds the parts of blocks that are kept in memory; 0 is 192
	// MiB.
	CacheBytes int
	// BlockRows is the number of records of a new block; 0 is DefaultBlockRows.
	BlockRows int
	// InMemory is the largest number of records outside of blocks that a reader
	// indexes in memory; 0 is 65,536. More are read from the log.
	InMemory int
}

// An Index finds a log's records by their fields and text. Its methods may be
// called from many goroutines.
type Index struct {
	dir   string
	o     Options
	log   Log
	ring  *keyring.Ring // nil if the log is open without it
	cache *block.Cache
	kept  bool // from Attach on

	closing sync.Once

	queue queue // of new records

	// building is held for reading while a block is written or put in place,
	// and for writing while blocks are purged.
	building sync.RWMutex

	mu         sync.Mutex     // guards all below
	blocks     []*openBlock   // ascending, without overlap
	tables     []*block.Table // ascending, of ranges that no block covers
	manifest   string         // the text that the blocks are from
	generation uint64         // of the keyring, when tables were made
	doomed     doom
	mended     bool // renewing has logged a message
	following  bool // from Attach to Close: Purge sees all blocks and tables

	wake    chan struct{} // tells the keeper that there is work
	merge   chan struct{} // tells the merger that there is work
	cancel  context.CancelFunc
	working sync.WaitGroup
	stop    sync.Once
	reading sync.Mutex // held while a reader catches up
}

// New creates the index of a log in a folder, with the log's keyring. Until
// Attach it is empty: snapshots consist of chunks to be read from the log.
func New(log Log, ring *keyring.Ring, dir string, o Options) *Index {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.BlockRows == 0 {
		o.BlockRows = DefaultBlockRows
	}
	if o.InMemory == 0 {
		o.InMemory = defaultInMemory
	}
	x := &Index{
		dir: dir, o: o, log: log, ring: ring, cache: block.NewCache(o.CacheBytes),
		wake: make(chan struct{}, 1), merge: make(chan struct{}, 1),
	}
	x.queue.ready = make(chan struct{}, 1)
	return x
}

// Attach begins to follow the log, once that is open. The index must be closed
// before the log. If Attach fails, the index is as before.
func (x *Index) Attach() error {
	if x.o.Write {
		if err := x.attach(); err != nil {
			x.queue.close()
			return fmt.Errorf("open index: %w", err)
		}
	} // else Snapshot looks
	x.kept = true
	return nil
}

func (x *Index) attach() error {
	if err := vfs.MakeDir(x.o.FS, x.dir, 0o755); err != nil {
		return err
	}
	x.building.Lock() // excludes Purge while the index is being read
	defer x.building.Unlock()
	if err := x.load(); err != nil {
		return err
	}
	if x.mended { // else the next process to open the index would look for files that sweep removes
		x.mu.Lock()
		err := x.replace(nil, nil)
		x.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := x.sweep(); err != nil {
		return err
	}
	x.mu.Lock()
	x.following = true
	x.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.working.Go(x.follow)
	x.working.Go(func() { x.keep(ctx) })
	x.working.Go(func() { x.mergeLoop(ctx) })
	poke(x.wake)
	return nil
}

// closeFor limits how long Close writes records that are in no block yet.
const closeFor = 5 * time.Second

// Close writes the records that are in no block yet, unless they are few, and
// closes the files. Records that would take too long are left to the next
// writer, and read from the log until then. Snapshots must be closed before.
func (x *Index) Close() (err error) {
	x.closing.Do(func() { err = x.close() })
	return err
}

func (x *Index) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	defer cancel()
	err := x.Finish(ctx, func(uint64, uint64) {})
	if errors.Is(err, context.DeadlineExceeded) {
		x.o.Logger.Info("the index lags the log: queries read the rest from the log until it is written to again, or until 'audittrail reindex'")
		err = nil
	}
	x.building.Lock() // excludes Purge
	defer x.building.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, b := range x.blocks {
		err = errors.Join(err, b.drop())
	}
	x.blocks, x.tables, x.following = nil, nil, false
	return err
}

// Finish stops following the log, and writes the records that are in no block
// yet, unless they are few, however long it takes. progress is called with the
// number of records in blocks and the number of all.
func (x *Index) Finish(ctx context.Context, progress func(done, total uint64)) error {
	if x.cancel == nil {
		return nil
	}
	x.stop.Do(func() {
		x.queue.close()
		x.cancel()
		x.working.Wait()
	})
	return x.finish(ctx, progress)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A queue holds new records until they are indexed.
type queue struct {
	mu     sync.Mutex // guards all below
	some   []*record.Record
	bytes  int
	busy   bool // the records taken last are being indexed
	lossy  bool // some records were left out since the queue was empty last
	closed bool
	ready  chan struct{}
}

// Add queues new records, in their order, with their content and without their
// lines. The caller must not change them afterwards.
func (x *Index) Add(some []*record.Record) { x.queue.put(some) }

func (q *queue) put(some []*record.Record) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	for _, r := range some {
		q.bytes += r.Size + 1024
	}
	q.some = append(q.some, some...)
	if q.bytes > queueBytes {
		q.some, q.bytes, q.lossy = nil, 0, true // the log has them
	}
	q.mu.Unlock()
	poke(q.ready)
}

// lose notes that some records are left out: they are read from the log when
// the queue is empty.
func (q *queue) lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lossy = true
}

// take returns the queued records. idle is true if there are none but some were
// left out before, which have to be read from the log.
func (q *queue) take() (some []*record.Record, idle, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	some = q.some
	q.some, q.bytes = nil, 0
	q.busy = len(some) > 0
	if idle = q.lossy && !q.busy; idle {
		q.lossy = false
	}
	return some, idle, q.closed
}

// idle reports whether no records are queued or being indexed.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.some) == 0 && !q.busy
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	poke(q.ready)
}

// follow indexes new records until the queue is closed and empty.
func (x *Index) follow() {
	for range x.queue.ready {
		for {
			some, lossy, closed := x.queue.take()
			for _, r := range some {
				x.add(r)
			}
			if lossy {
				poke(x.wake)
			}
			if len(some) > 0 {
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

// add puts a new record into the newest table. If that is full, or does not end
// before the record, it begins another. If too many tables wait to be written,
// it leaves the record to be read from the log.
func (x *Index) add(r *record.Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var t *block.Table
	if n := len(x.tables); n > 0 {
		t = x.tables[n-1]
	}
	if t != nil && r.Seq < end(t) || len(x.blocks) > 0 && r.Seq < end(x.blocks[len(x.blocks)-1]) {
		return // a query could not wait for so many to be written
	}
	if t == nil || end(t) != r.Seq || t.Rows() >= x.o.BlockRows || t.Full() {
		if len(x.tables) > maxPending {
			x.queue.lose()
			return
		}
		t = block.NewTable(r.Seq)
		x.tables = append(x.tables, t)
		poke(x.wake)
	}
	t.Add(r, r.Seq >= x.doomed.until(string(r.Subject[:]), r.Class))
}

// A ranged is a range of records.
type ranged interface {
	First() uint64
	Rows() int
}

func end(r ranged) uint64 { return r.First() + uint64(r.Rows()) }

// A keyOf is the id of a block's key.
type keyOf = keyring.FileID
