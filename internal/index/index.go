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
	// DefaultBlockRows is how many records a new block has.
	DefaultBlockRows = 16384
	// maxRows is how many a merged one has at most.
	maxRows = 1 << 21
	// idleRows is how many records may be left to be read from the log: fewer
	// are not worth a file.
	idleRows = 1024
	// queueBytes bounds the records that wait to be indexed. Beyond it they are
	// read from the log again.
	queueBytes = 16 << 20
	// maxPending is how many full tables may wait to be written.
	maxPending = 2

	defaultInMemory = 1 << 16
	defaultCache    = 192 << 20
)

// Options say how to keep an index. The zero value reads one.
type Options struct {
	// Write is set by the process that has the log open for writing.
	Write bool
	// FS is the file system that the log is on.
	FS vfs.FS
	// Logger is told of what is made anew; nil is nobody.
	Logger *slog.Logger
	// CacheBytes bounds what is kept of blocks in memory; 0 is 192 MiB.
	CacheBytes int
	// BlockRows is how many records a new block has; 0 is DefaultBlockRows.
	BlockRows int
	// InMemory is how many records a reader indexes for itself at most, which no
	// block has; 0 is 65,536. More are read from the log.
	InMemory int
}

// An Index is what is known of a log's records. Its methods may be called from
// many goroutines.
type Index struct {
	dir   string
	o     Options
	log   Log
	ring  *keyring.Ring // nil: the log is open without it
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
	mended     bool // it was said that something is made anew
	following  bool // from Attach to Close: purge finds all that there is

	wake    chan struct{} // the keeper has something to do
	merge   chan struct{} // the merger has
	cancel  context.CancelFunc
	working sync.WaitGroup
	stop    sync.Once
	reading sync.Mutex // held while a reader catches up
}

// New makes the index of a log in a folder, with the log's keyring. Until Attach
// it knows nothing: snapshots consist of chunks to be read from the log.
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

// Attach begins to follow the log, once that is open. Close the index before the
// log. If Attach fails, the index is as one that was never attached.
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
	x.building.Lock() // nobody purges what is only being read
	defer x.building.Unlock()
	if err := x.load(); err != nil {
		return err
	}
	if x.mended { // or the next to open it would look for what sweep removes
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

// closeFor is for how long Close writes what is not in a file yet.
const closeFor = 5 * time.Second

// Close writes what is not in a file yet, unless that is little, and lets go of
// the files. What would take too long is left to whoever writes the log next,
// and read from the log until then. Snapshots must be closed before.
func (x *Index) Close() (err error) {
	x.closing.Do(func() { err = x.close() })
	return err
}

func (x *Index) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	defer cancel()
	err := x.Finish(ctx, func(uint64, uint64) {})
	if errors.Is(err, context.DeadlineExceeded) {
		x.o.Logger.Info("the index is behind the log: queries read the rest from there until it is written again, or 'audittrail reindex'")
		err = nil
	}
	x.building.Lock() // nobody is purging
	defer x.building.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, b := range x.blocks {
		err = errors.Join(err, b.drop())
	}
	x.blocks, x.tables, x.following = nil, nil, false
	return err
}

// Finish stops following the log, and indexes what was recorded so far, unless
// that is little, however long it takes. Progress is told how many of all
// records are in the index.
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
	busy   bool // with those that were taken last
	lossy  bool // some were left out since it was empty last
	closed bool
	ready  chan struct{}
}

// Add queues new records, in their order, with their content and without their
// lines, which do not change any more.
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

// lose notes that some are left out: they are looked for when the queue is empty.
func (q *queue) lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lossy = true
}

// take returns what there is. Idle tells that it is nothing, and that records
// were left out before: they have to be read from the log.
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

// idle tells whether nothing is to be indexed, nor about to be.
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
// in front of the record, it begins another. If too many wait to be written, it
// leaves the record to be read from the log.
func (x *Index) add(r *record.Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var t *block.Table
	if n := len(x.tables); n > 0 {
		t = x.tables[n-1]
	}
	if t != nil && r.Seq < end(t) || len(x.blocks) > 0 && r.Seq < end(x.blocks[len(x.blocks)-1]) {
		return // a query could not wait for it
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

// keyOf is the id of a block's key.
type keyOf = keyring.FileID
