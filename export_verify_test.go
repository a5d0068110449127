package audittrail

import (
	"testing"

	"audittrail/tlog"
)

// SignAt returns the checkpoint that a log had at a smaller size.
func SignAt(t testing.TB, l *Log, size uint64) []byte {
	t.Helper()
	root, err := l.tree.Root(size)
	if err != nil {
		t.Fatal(err)
	}
	return SignRoot(t, l, size, root)
}

// SignRoot returns a checkpoint of any tree, signed by a log's key.
func SignRoot(t testing.TB, l *Log, size uint64, root tlog.Hash) []byte {
	t.Helper()
	signed, err := tlog.Sign(tlog.Checkpoint{Origin: l.origin, Size: size, Root: root}, l.ring.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
