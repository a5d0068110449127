package audittrail

import (
	"context"
	"fmt"

	"audittrail/tlog"
)

// SignStatement signs a statement of the log other than a checkpoint, such as
// that it generated a report: a tlog.Statement of that kind and with those
// lines. It needs the keyring, and not the writer's lock.
func (l *Log) SignStatement(kind string, lines ...string) ([]byte, error) {
	if l.ring == nil {
		return nil, fmt.Errorf("sign statement: %w", ErrNoKeys)
	}
	signer := l.ring.Signer()
	if signer == nil {
		return nil, fmt.Errorf("sign statement: %w", ErrClosed)
	}
	return tlog.SignStatement(tlog.Statement{Kind: kind, Origin: l.origin, Lines: lines}, signer)
}

// Root returns the root of the tree over the first size records. The log must
// have signed a checkpoint of at least that size.
func (l *Log) Root(size uint64) (tlog.Hash, error) {
	l.signed.Refresh()
	if have := l.signed.Head().Size; have < size {
		return tlog.Hash{}, fmt.Errorf("root of the first %d records: %w: %d are signed", size, ErrNoRecord, have)
	}
	root, err := l.signed.Root(context.Background(), size)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of the first %d records: %w", size, err)
	}
	return root, nil
}
