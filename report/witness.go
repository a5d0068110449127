package report

import (
	"errors"
	"fmt"
	"strings"

	"audittrail/finding"
	"audittrail/report/document"
	"audittrail/tlog"
)

// ErrWitness reports that a checkpoint that was given as witnessed is not a
// checkpoint of this log, or was not cosigned by a witness that was named.
var ErrWitness = errors.New("not a witnessed checkpoint of this log")

// readWitness reads the checkpoint that somebody outside cosigned. That the log
// continues it is for the check of the log to say.
func (m *maker) readWitness() error {
	if m.o.Checkpoint == "" && len(m.o.Witnesses) == 0 {
		return nil
	}
	w := &document.Witness{Checkpoint: m.o.Checkpoint, Keys: m.o.Witnesses}
	own, err := m.log.Keys()
	if err != nil {
		return fmt.Errorf("list the log's keys: %w", err)
	}
	keys := make([]string, 0, len(own)+len(w.Keys))
	for _, k := range own {
		keys = append(keys, k.VKey)
	}
	head, signed, err := tlog.OpenCheckpoint([]byte(w.Checkpoint), append(keys, w.Keys...), m.log.Origin())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWitness, err)
	}
	for _, s := range signed.Sigs {
		if s.Name != head.Origin {
			m.witnesses = append(m.witnesses, s.Name)
		}
	}
	m.cosigned = head.Size
	if len(m.witnesses) == 0 {
		return fmt.Errorf("%w: none of the keys of witnesses signed it", ErrWitness)
	}
	m.doc.Witness = w
	return nil
}

// witnessed tells how many records nobody outside has witnessed.
func (m *maker) witnessed(s *document.Section, source string) {
	if m.doc.Witness == nil {
		figure(s, "unwitnessed", "Records that no witness has cosigned", document.Value{}, "Not known: no checkpoint that a witness cosigned was given to this report.", source)
		if m.o.Size > 0 {
			m.attend(document.Unwitnessed, document.Warning, s.ID, "Whether anybody outside has witnessed the log's %s is not known: no cosigned checkpoint was given to this report.", recordsText(m.o.Size))
		}
		return
	}
	since := m.o.Size - min(m.o.Size, m.cosigned)
	figure(s, "unwitnessed", "Records that no witness has cosigned", document.CountOf(since), "Since the checkpoint at "+recordsText(m.cosigned)+" that "+strings.Join(m.witnesses, ", ")+" cosigned.", source)
	if since > 0 {
		m.attend(document.Unwitnessed, document.Warning, s.ID, "Nobody outside has witnessed the last %s: the newest checkpoint that %s cosigned covers %s.", recordsText(since), strings.Join(m.witnesses, ", "), recordsText(m.cosigned))
	}
}

// unreadable tells of content that could not be read.
func (m *maker) unreadable(s *document.Section) {
	if m.verified == nil {
		m.attend(document.Unreadable, document.Bad, s.ID, "Whether all content can be read is not known: the log could not be checked.")
		return
	}
	var what []string
	if n := m.verified.Count(finding.Lost); n > 0 {
		what = append(what, "the keys to the content of "+recordsText(n)+" are lost")
	}
	if n := m.verified.Count(finding.Unreadable); n > 0 {
		what = append(what, plural(int(n), "file cannot be read", "files cannot be read"))
	}
	if len(m.verified.Limitations) > 0 {
		what = append(what, strings.Join(m.verified.Limitations, "; "))
	}
	if m.verified.Sealed {
		what = append(what, "the keyring was not at hand")
	}
	if len(what) > 0 {
		m.attend(document.Unreadable, document.Bad, s.ID, "Content could not be read: %s.", strings.Join(what, "; "))
	}
}
