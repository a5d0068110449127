package audittrail

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"audittrail/internal/cjson"
	"audittrail/record"
	"audittrail/tlog"
)

// proofHead returns a checkpoint and what it says, to prove against.
func (l *Log) proofHead(ctx context.Context) ([]byte, tlog.Checkpoint, error) {
	signed, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, tlog.Checkpoint{}, err
	}
	c, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		return nil, c, err
	}
	if l.tree.Size() < c.Size {
		err = l.tree.Refresh()
	}
	return signed, c, err
}

// Prove returns a proof that a record is in the log (C2SP tlog-proof), which
// anybody can check with the record's line and the log's verifier key, and
// without the log.
func (l *Log) Prove(ctx context.Context, seq uint64) ([]byte, error) {
	signed, c, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	if seq >= c.Size {
		return nil, fmt.Errorf("prove record %d: %w: the checkpoint covers %d records", seq, ErrNoRecord, c.Size)
	}
	hashes, err := tlog.ProveInclusion(c.Size, seq, l.tree.HashReader())
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	return tlog.FormatProof(seq, hashes, signed), nil
}

// ProveConsistency returns a proof that the log still holds everything that an
// older checkpoint of it covered. The error is a *BehindError if it does not.
func (l *Log) ProveConsistency(ctx context.Context, oldCheckpoint []byte) ([]byte, error) {
	old, err := tlog.ReadCheckpoint(oldCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	signed, c, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if old.Origin != c.Origin {
		return nil, fmt.Errorf("prove consistency: the checkpoint is of the log %q, this one is %q", old.Origin, c.Origin)
	}
	if old.Size > c.Size {
		return nil, &BehindError{Have: c.Size, Signed: old.Size, Detail: fmt.Sprintf("the log has %d", c.Size)}
	}
	root, err := l.tree.Root(old.Size)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if root != old.Root {
		return nil, &BehindError{Have: c.Size, Signed: old.Size, Detail: "they are not the ones that the log has now"}
	}
	hashes, err := tlog.ProveConsistency(c.Size, old.Size, l.tree.HashReader())
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	return tlog.FormatConsistency(old, hashes, signed), nil
}

// ExportTree writes the tree as the files of a C2SP tlog-tiles log, for a
// static file server, into a folder, which may hold an older export.
func (l *Log) ExportTree(ctx context.Context, dir string, progress func(done, total uint64)) error {
	signed, _, err := l.proofHead(ctx)
	if err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	return l.tree.Export(ctx, dir, signed, progress)
}

// A Disclosure is one record with the key to its body: whoever has it can read
// that record and no other, and can check that the two belong together. What
// was disclosed is out of the log's hands: destroying the data subject's key
// does not take it back.
type Disclosure struct {
	Line []byte // without its LF
	Key  record.Key
}

const disclosureVersion = 1

// MarshalJSON writes the disclosure with its key, as a file for its receiver.
func (d Disclosure) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		V    int    `json:"v"`
		Key  string `json:"key"`
		Line string `json:"line"`
	}{disclosureVersion, base64.StdEncoding.EncodeToString(d.Key[:]), string(d.Line)})
}

// Disclose takes the key of one record out of the log.
func (l *Log) Disclose(ctx context.Context, seq uint64) (Disclosure, error) {
	r, err := l.Get(ctx, seq)
	if err != nil {
		return Disclosure{}, err
	}
	if r.State != Readable {
		return Disclosure{}, fmt.Errorf("disclose record %d: its content is %s", seq, r.State)
	}
	prk, err := l.ring.ForOpening(r.Subject, r.Class)
	if err != nil {
		return Disclosure{}, fmt.Errorf("disclose record %d: %w", seq, err)
	}
	key, err := r.KeyFrom(prk)
	if err != nil {
		return Disclosure{}, fmt.Errorf("disclose record %d: %w", seq, err)
	}
	return Disclosure{Line: r.Line(), Key: key}, nil
}

// ErrDisclosure is wrapped by the errors of what is no disclosure.
var ErrDisclosure = errors.New("not a disclosure")

// CheckDisclosure reads a disclosure, and returns the record if its line is
// whole and its key opens it. That the record is in a log is for a proof to
// say: see tlog.CheckProof.
func CheckDisclosure(b []byte) (*Record, error) {
	line, key, err := parseDisclosure(b)
	if err != nil {
		return nil, fmt.Errorf("check disclosure: %w: %w", ErrDisclosure, err)
	}
	r, err := record.Decode(line)
	if err != nil {
		return nil, fmt.Errorf("check disclosure: %w", err)
	}
	if covered, _ := record.Covered(line); record.HashOf(covered) != r.Hash {
		return nil, &TamperError{Seq: r.Seq, Want: r.Hash, Got: record.HashOf(covered)}
	}
	if err := r.OpenWith(key); err != nil {
		return nil, fmt.Errorf("check disclosure: record %d: %w", r.Seq, err)
	}
	return &Record{Record: *r, State: Readable}, nil
}

func parseDisclosure(b []byte) (line []byte, key record.Key, err error) {
	d := cjson.NewDecoder(b)
	var version int64
	var keyText string
	err = d.Object(func(name string) (err error) {
		switch name {
		case "v":
			version, err = d.Int()
		case "key":
			keyText, err = d.String()
		case "line":
			var s string
			s, err = d.String()
			line = []byte(s)
		default:
			return fmt.Errorf("unknown field %q", name)
		}
		return err
	})
	if err == nil {
		err = d.End()
	}
	if err != nil {
		return nil, key, err
	}
	if version != disclosureVersion {
		return nil, key, fmt.Errorf("version %d is not understood", version)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(keyText)
	if err != nil || len(raw) != len(key) {
		return nil, key, errors.New("the key is not 32 bytes in base64")
	}
	copy(key[:], raw)
	return line, key, nil
}
