package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

const tesseraOrigin = "tessera.bench.example"

// TestMain keeps the peer's own log lines out of the figures.
func TestMain(m *testing.M) {
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	if err := errors.Join(flags.Set("logtostderr", "false"), flags.Set("stderrthreshold", "FATAL")); err != nil {
		fmt.Fprintln(os.Stderr, "quieten klog:", err)
		os.Exit(1)
	}
	klog.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// A batching is how Tessera collects entries: it writes when there are size
// of them, or when the oldest has waited for age.
type batching struct {
	size uint
	age  time.Duration
}

// A tesseraLog is a log on Tessera's POSIX driver.
type tesseraLog struct {
	dir      string
	verifier note.Verifier
	appender *tessera.Appender
	close    func() error // waits until all is integrated and signed
}

func openTessera(b *testing.B, dir string, how batching) *tesseraLog {
	b.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, tesseraOrigin)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		b.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		b.Fatal(err)
	}
	driver, err := posix.New(b.Context(), posix.Config{Path: dir})
	if err != nil {
		b.Fatal(err)
	}
	// A signed checkpoint each second is what AuditTrail publishes. Pushback is
	// an error when too many calls are open, and no call here may be refused.
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(time.Second).
		WithBatching(how.size, how.age).
		WithPushback(1 << 16)
	appender, shutdown, _, err := tessera.NewAppender(b.Context(), driver, opts)
	if err != nil {
		b.Fatal(err)
	}
	return &tesseraLog{dir, verifier, appender, func() error { return shutdown(b.Context()) }}
}

// add returns when the entry has been sequenced and is durable.
func (l *tesseraLog) add(ctx context.Context, entry []byte) error {
	_, err := l.appender.Add(ctx, tessera.NewEntry(entry))()
	return err
}

// fsck checks the whole log with the peer's own checker.
func (l *tesseraLog) fsck(ctx context.Context, workers int) error {
	check := fsck.New(tesseraOrigin, l.verifier, client.FileFetcher{Root: l.dir}, hashBundle, fsck.Opts{N: uint(workers)})
	return check.Check(ctx)
}

// hashBundle is what Tessera's fsck command gives to its checker.
func hashBundle(bundle []byte) ([][]byte, error) {
	var eb api.EntryBundle
	if err := eb.UnmarshalText(bundle); err != nil {
		return nil, fmt.Errorf("parse entry bundle: %w", err)
	}
	leaves := make([][]byte, 0, len(eb.Entries))
	for _, e := range eb.Entries {
		leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return leaves, nil
}
