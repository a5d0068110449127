// Package certificate defines erasure certificates, which a log issues when it
// has erased a data subject, and which anybody can verify without the log.
//
// A certificate contains the record that ordered the erasure, with its key, and
// an inclusion proof of it; the checkpoint before; a consistency proof from
// that checkpoint to the log after the erasure; the number of affected records;
// the backups of the keys that still exist; and the log's signature over all of
// it. It names subjects, never users: only its receiver knows whose subject it
// was. docs/format/certificate.md draws it.
//
// A certificate proves that the log has ordered the erasure permanently, and
// was not changed otherwise. That the keys were destroyed, and the number of
// records, are statements of the log, signed with its key.
package certificate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/canonical"
	"audittrail/internal/cjson"
	"audittrail/record"
	"audittrail/tlog"
)

// Kind is the kind of the log's statement about a certificate.
const Kind = "erasure-certificate"

// MaxBytes bounds a certificate. A record of 250,000 subjects fits.
const MaxBytes = 64 << 20

// maxBackups bounds the backups that a certificate lists.
const maxBackups = 10_000

// domain is part of the format: see docs/format/domains.md.
const domain = "audittrail/v1 erasure certificate\x00"

// ErrFormat reports bytes that are not the canonical encoding of a certificate.
var ErrFormat = errors.New("not an erasure certificate")

// ErrMismatch reports a certificate whose parts do not belong together.
var ErrMismatch = errors.New("the certificate's parts do not belong together")

// A Backup is a copy of the keys that may still decrypt erased records.
type Backup struct {
	ID      record.ID
	Created time.Time
	Expires time.Time
}

// A Certificate is a log's statement about one erasure.
type Certificate struct {
	Issued time.Time
	// Members of the record, for readers without a program to decrypt it.
	Seq      uint64
	Subjects []record.Subject // whose keys were destroyed, ascending
	Reason   string
	Basis    string
	// ErasureRecord is the record that ordered the erasure, with its key.
	ErasureRecord record.Disclosure
	Proof         []byte // inclusion proof of the record (tlog-proof)
	Before        []byte // signed checkpoint of the log without the record
	// Consistency proves that the later log begins with the records that Before
	// covers.
	Consistency []byte
	Records     uint64 // number of affected records
	// Unknown is the number of records, of all data subjects, in archives that
	// could not be read: how many of these are affected is not known.
	Unknown uint64
	// Acted is the number of records, about any person, that name the subjects
	// as the actor, whose user is no longer known. ActedUnknown is the number
	// of records in archives that could not be read, for which this is not
	// known.
	Acted        uint64
	ActedUnknown uint64
	Backups      []Backup
	Signature    []byte // the log's statement over all fields above

	version int // of the form; 0 is the newest
}

// version is the newest form of a certificate. Version 1 had no counts of
// actors.
const version = 2

// HasActorCounts reports whether the certificate has the number of records in
// which the subjects acted. Certificates of version 1 do not.
func (c *Certificate) HasActorCounts() bool { return c.version != 1 }

// wire is the certificate in JSON, its members sorted.
type wire struct {
	Acted        *uint64 `json:"acted,omitempty"` // nil in version 1
	ActedUnknown uint64  `json:"acted_unknown,omitempty"`

	Backups     []wireBackup `json:"backups"`
	Basis       string       `json:"basis"`
	Before      string       `json:"before"`
	Consistency string       `json:"consistency"`
	Issued      string       `json:"issued"`
	Key         string       `json:"key"`
	Line        string       `json:"line"`
	Proof       string       `json:"proof"`
	Reason      string       `json:"reason"`
	Records     uint64       `json:"records"`
	Seq         uint64       `json:"seq"`
	Signature   string       `json:"signature,omitempty"`
	Subjects    []string     `json:"subjects"`
	Unknown     uint64       `json:"unknown,omitempty"`
	V           int          `json:"v"`
}

type wireBackup struct {
	Created string `json:"created"`
	Expires string `json:"expires"`
	ID      string `json:"id"`
}

func stamp(t time.Time) string { return string(event.AppendTime(nil, t.UTC())) }

// encode writes the certificate, with its signature or without.
func (c *Certificate) encode(signed bool) ([]byte, error) {
	w := wire{
		Backups: []wireBackup{}, Before: string(c.Before), Consistency: string(c.Consistency), Issued: stamp(c.Issued),
		Key: base64.StdEncoding.EncodeToString(c.ErasureRecord.Key[:]), Line: string(c.ErasureRecord.Line),
		Proof: string(c.Proof), Records: c.Records, Unknown: c.Unknown, V: cmp.Or(c.version, version),
		Seq: c.Seq, Reason: c.Reason, Basis: c.Basis, Subjects: make([]string, len(c.Subjects)),
	}
	for i, s := range c.Subjects {
		w.Subjects[i] = s.String()
	}
	if c.HasActorCounts() {
		w.Acted, w.ActedUnknown = &c.Acted, c.ActedUnknown
	}
	if signed {
		w.Signature = string(c.Signature)
	}
	for _, b := range c.Backups {
		w.Backups = append(w.Backups, wireBackup{stamp(b.Created), stamp(b.Expires), b.ID.String()})
	}
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return cjson.AppendCanonical(nil, b)
}

// Encode returns the one encoding of the certificate: a line of JSON, without a
// line feed.
func (c *Certificate) Encode() ([]byte, error) {
	b, err := c.encode(true)
	if err != nil {
		return nil, fmt.Errorf("encode certificate: %w", err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("encode certificate: %d bytes; the limit is %d", len(b), MaxBytes)
	}
	return b, nil
}

// Digest returns the line that the log signs in its statement.
func (c *Certificate) Digest() (string, error) {
	b, err := c.encode(false)
	if err != nil {
		return "", fmt.Errorf("encode certificate: %w", err)
	}
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Decode reads the one encoding that Encode writes, and refuses others. Check
// verifies the certificate.
func Decode(b []byte) (*Certificate, error) {
	c, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return c, nil
}

func decode(b []byte) (*Certificate, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("longer than %d bytes", MaxBytes)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return nil, errors.New("not the JSON of a certificate") // the decoder's error may quote content
	}
	if w.V != 1 && w.V != version {
		return nil, fmt.Errorf("unknown version %d", w.V)
	}
	if (w.V == 1) == (w.Acted != nil) {
		return nil, errors.New("the counts of actors do not match the version")
	}
	if w.Acted == nil {
		w.Acted = new(uint64)
	}
	if len(w.Backups) > maxBackups || *w.Acted > record.MaxSeq || w.ActedUnknown > record.MaxSeq || w.Records > record.MaxSeq || w.Unknown > record.MaxSeq || w.Seq > record.MaxSeq {
		return nil, errors.New("a number is too large")
	}
	if w.Signature == "" {
		return nil, errors.New("not signed")
	}
	issued, err := event.ParseTime(w.Issued)
	if err != nil {
		return nil, errors.New("invalid time")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(w.Key)
	c := &Certificate{
		Issued: issued, ErasureRecord: record.Disclosure{Line: []byte(w.Line)}, Proof: []byte(w.Proof), Before: []byte(w.Before),
		Acted: *w.Acted, ActedUnknown: w.ActedUnknown, version: w.V,
		Consistency: []byte(w.Consistency), Records: w.Records, Unknown: w.Unknown, Signature: []byte(w.Signature),
		Seq: w.Seq, Reason: w.Reason, Basis: w.Basis,
	}
	if err != nil || copy(c.ErasureRecord.Key[:], key) != len(c.ErasureRecord.Key) || len(key) != len(c.ErasureRecord.Key) {
		return nil, errors.New("the key is not 32 bytes in base64")
	}
	for i, text := range w.Subjects {
		sub, err := record.ParseSubject(text)
		if err != nil {
			return nil, fmt.Errorf("invalid subject %d", i)
		}
		c.Subjects = append(c.Subjects, sub)
	}
	for i, wb := range w.Backups {
		id, err1 := record.ParseID(wb.ID)
		created, err2 := event.ParseTime(wb.Created)
		expires, err3 := event.ParseTime(wb.Expires)
		if errors.Join(err1, err2, err3) != nil {
			return nil, fmt.Errorf("invalid backup %d", i)
		}
		c.Backups = append(c.Backups, Backup{id, created, expires})
	}
	encoded, err := c.encode(true)
	if err == nil {
		err = canonical.Check(b, encoded)
	}
	return c, err
}

// Facts are the statements of a certificate that was verified.
type Facts struct {
	Origin   string
	Seq      uint64 // the record that ordered the erasure
	Logged   time.Time
	Subjects []record.Subject
	Reason   string
	Basis    string
	Approval string
	By       string
	Records  uint64
	Unknown  uint64 // in archives that could not be read
	// Acted and ActedUnknown are nil if the certificate does not have them.
	Acted          uint64
	ActedUnknown   uint64
	HasActorCounts bool
	Before         tlog.Checkpoint
	After          tlog.Checkpoint
	Backups        []Backup
	Issued         time.Time
}

// Check verifies a certificate with the verifier keys of its log. It does not
// need the log.
func (c *Certificate) Check(vkeys []string) (*Facts, error) {
	text, err := json.Marshal(c.ErasureRecord)
	if err != nil {
		return nil, fmt.Errorf("check certificate: %w", err)
	}
	r, err := record.CheckDisclosure(text)
	if err != nil {
		return nil, fmt.Errorf("check certificate: %w", err)
	}
	if r.Event.Type != event.SubjectErased {
		return nil, fmt.Errorf("check certificate: %w: the record is of type %s", ErrMismatch, r.Event.Type)
	}
	order, err := governance.ReadErasure(r.Event.Metadata)
	if err != nil {
		return nil, fmt.Errorf("check certificate: record %d: %w", r.Seq, err)
	}
	if c.Seq != r.Seq || c.Reason != order.Reason || c.Basis != order.Basis || !slices.Equal(c.Subjects, order.Subjects) {
		return nil, fmt.Errorf("check certificate: %w: the certificate contradicts its record %d", ErrMismatch, r.Seq)
	}
	after, err := tlog.CheckProof(vkeys, r.Hash, c.Proof)
	if err != nil {
		return nil, fmt.Errorf("check certificate: %w", err)
	}
	origin := after.Checkpoint.Origin
	if after.Index != r.Seq {
		return nil, fmt.Errorf("check certificate: %w: the proof is of record %d, and the record is %d", ErrMismatch, after.Index, r.Seq)
	}
	before, _, err := tlog.OpenCheckpoint(c.Before, vkeys, origin)
	if err != nil {
		return nil, fmt.Errorf("check certificate: the checkpoint before: %w", err)
	}
	if before.Size > r.Seq {
		return nil, fmt.Errorf("check certificate: %w: the checkpoint before covers the erasure", ErrMismatch)
	}
	later, err := tlog.CheckConsistencyProof(vkeys, before, c.Consistency)
	if err != nil {
		return nil, fmt.Errorf("check certificate: %w", err)
	}
	if later.Size <= r.Seq {
		return nil, fmt.Errorf("check certificate: %w: the later log does not contain the erasure", ErrMismatch)
	}
	if err := c.checkSignature(vkeys, origin); err != nil {
		return nil, fmt.Errorf("check certificate: %w", err)
	}
	return &Facts{
		Origin: origin, Seq: r.Seq, Logged: r.Logged, Subjects: order.Subjects, Reason: order.Reason, Basis: order.Basis,
		Approval: order.Approval, By: order.By, Records: c.Records, Unknown: c.Unknown, Before: before, After: after.Checkpoint,
		Acted: c.Acted, ActedUnknown: c.ActedUnknown, HasActorCounts: c.HasActorCounts(), Backups: c.Backups, Issued: c.Issued,
	}, nil
}

func (c *Certificate) checkSignature(vkeys []string, origin string) error {
	s, err := tlog.OpenStatement(Kind, c.Signature, vkeys, origin)
	if err != nil {
		return err
	}
	digest, err := c.Digest()
	if err != nil {
		return err
	}
	if len(s.Lines) != 1 || s.Lines[0] != digest {
		return fmt.Errorf("%w: the log signed another certificate", ErrMismatch)
	}
	return nil
}
