package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/certificate"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
	"audittrail/service"
	"audittrail/tlog"
)

type eraseOptions struct {
	users                        userArgs
	file, reason, basis, out, id string

	dryRun, missingOK, force, yes bool
}

func (e *env) eraseCmd() *cobra.Command {
	var o eraseOptions
	cmd := &cobra.Command{
		Use:   "erase USER --reason R --basis ARTICLE",
		Short: "Erase a person",
		Long: `Erase permanently destroys the keys to everything about a user. Contents and
identity can then no longer be decrypted, neither in the log nor in any copy of
log, archives and index. The records stay, and the log still verifies.

It prints a certificate, in JSON with -o json or into --out, with the order and
its proof, the number of affected records, and the backups of the keys that can
still decrypt them until they expire. 'gdpr certificate verify' checks a
certificate without the log.

If a legal hold applies to any record, nothing is erased. If nothing is stored
about the user, the command says so, counts known users whose ids differ only in
case, blanks or accents, and exits with 3, or with --missing-ok with 0. With
--file, users about whom nothing is stored are listed by line; users under a
hold are left out, the others are erased, and the command exits with 1.

On a terminal it lists what it will erase, and asks for confirmation, unless
--yes is given. --dry-run lists this for each user, and erases nothing.` +
			exits(ends0, "1  failure, or a hold prevented the erasure of a user: stderr says why", ends2, "3  nothing is stored about some users, so that nothing was erased for them", ends4),
		Example: `  audittrail gdpr erase alice --reason "asked by letter" --basis "GDPR 17(1)(b)"
  audittrail gdpr erase --file users.txt --reason "contract ended" \
      --basis "GDPR 17(1)(a)" --out certificates.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := e.usersOf(cmd, &o.users, o.file, args)
			if err != nil {
				return err
			}
			if o.dryRun {
				o.reason, o.basis = cmp.Or(o.reason, "none"), cmp.Or(o.basis, "none") // a dry run records neither
			}
			if strings.TrimSpace(o.reason) == "" || strings.TrimSpace(o.basis) == "" {
				return errors.New("gdpr erase: reason or basis missing; give the reason with --reason, and the article with --basis")
			}
			if o.dryRun {
				return e.eraseDry(o, users)
			}
			return e.erase(o, users)
		},
	}
	f := cmd.Flags()
	o.users.flags(cmd)
	f.StringVar(&o.file, "file", "", "`file` of users, one per line; - is standard input")
	f.StringVar(&o.reason, "reason", "", "`reason`, which the log records; it must not name the person")
	f.StringVar(&o.basis, "basis", "", "`article` that is the legal basis, such as \"GDPR 17(1)(b)\"")
	f.StringVar(&o.id, "approval", "", "`id` of a four-eyes approval")
	f.StringVar(&o.out, "out", "", "write the certificate to this `file`")
	f.BoolVar(&o.dryRun, "dry-run", false, "list what would be erased, and erase nothing")
	f.BoolVar(&o.missingOK, "missing-ok", false, "exit with 0 although nothing is stored about some users")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation on a terminal")
	f.BoolVar(&o.force, "force", false, forceUsage)
	cmd.PreRunE = oneForm(&o.out, "json", "jsonl", "ndjson")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) erase(o eraseOptions, list *userList) error {
	return e.writing(func(s *service.Session) error {
		found, err := s.PreviewErasure(e.ctx, service.PreviewRequest{Users: list.ids, Approval: o.id})
		if err != nil {
			return fmt.Errorf("gdpr erase: %w", flagged(err))
		}
		l := lookupOf(list, lookupsOf(found))
		if err := e.askErase(o, l); err != nil {
			return fmt.Errorf("gdpr erase: %w", err)
		}
		var file *os.File
		if o.out != "" {
			// Before anything is erased: check that the file can be created.
			if file, err = createSecret(o.out); err != nil {
				return fmt.Errorf("gdpr erase: %w", err)
			}
		}
		x, err := e.eraseAll(s, o, list.ids)
		if x == nil || len(x.All) == 0 {
			discard(file)
			file = nil
		}
		uncertified := (*service.UncertifiedError)(nil)
		switch {
		case errors.As(err, &uncertified):
			return notCertified(uncertified.Seqs, err)
		case x == nil:
			return fmt.Errorf("gdpr erase: %w", flagged(err))
		}
		if cerr := e.showErasure(x, l, file, err == nil); cerr != nil || err != nil {
			return errors.Join(err, cerr)
		}
		if x.Held > 0 {
			return fmt.Errorf("gdpr erase: %s under the hold %s, and not erased: release the hold first",
				display.Count(x.Held, "user is", "users are"), strings.Join(x.Holds[:min(len(x.Holds), 5)], ", "))
		}
		if n := len(l.missing); n > 0 && !o.missingOK {
			return &exitError{exitLimited, fmt.Errorf("gdpr erase: nothing is stored about %s of %s: nothing was erased for %s; --missing-ok accepts that",
				display.Number(n), display.Count(len(list.ids), "user", "users"), display.OneOrMany(n, "that one", "those"))}
		}
		return nil
	})
}

// eraseAll erases users, and returns the result, which is nil if no erasure was
// begun.
func (e *env) eraseAll(s *service.Session, o eraseOptions, users []string) (done *service.Erasure, err error) {
	progress := e.newBar("erase", int64(len(users)), false)
	for step, serr := range s.Erase(e.ctx, service.EraseRequest{Users: users, Reason: o.reason, Basis: o.basis, Approval: o.id, Mention: o.force}) {
		if serr != nil {
			err = serr
			break
		}
		progress.set(int64(step.Done))
		done = step.Result
	}
	if err != nil {
		progress.leave()
	} else {
		progress.finish()
	}
	return done, err
}

// discard removes the file for certificates, if none were made.
func discard(file *os.File) {
	if file != nil {
		_ = fillSecret(file, func(*os.File) error { return errors.New("nothing to write") })
	}
}

// lookupsOf returns what previews know of users.
func lookupsOf(all []service.Preview) []service.Lookup {
	found := make([]service.Lookup, len(all))
	for i, p := range all {
		found[i] = p.Lookup
	}
	return found
}

// askErase prints on a terminal what will be erased, and asks for confirmation.
func (e *env) askErase(o eraseOptions, l *lookup) error {
	e.noteLookup(l)
	known := len(l.ids) - len(l.missing)
	if o.yes || !e.inTerminal || !e.errTerminal || known == 0 {
		return nil
	}
	_, err := fmt.Fprintf(e.stderr, "audittrail: permanently erase everything that is stored about %s? [y/N] ", display.Count(known, "user", "users"))
	if err != nil {
		return err
	}
	answer, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("the answer was not yes: nothing was erased")
}

// A dryErase is the result of a dry run for one user.
type dryErase struct {
	Line    int    `json:"line,omitempty"`
	User    string `json:"user"`
	State   string `json:"state"` // erase, held or not found
	Records uint64 `json:"records"`
	Acted   uint64 `json:"acted,omitempty"`
	// The numbers of records in unreadable archives that may have to be added to
	// Records, and to Acted.
	Unknown      uint64 `json:"unknown,omitempty"`
	ActedUnknown uint64 `json:"acted_unknown,omitempty"`
	Near         int    `json:"near"`
}

// eraseDry prints what an erasure would do.
func (e *env) eraseDry(o eraseOptions, users *userList) error {
	return e.reading(func(s *service.Session) error {
		found, err := s.PreviewErasure(e.ctx, service.PreviewRequest{Users: users.ids, Counts: true})
		if err != nil {
			return err
		}
		l := lookupOf(users, lookupsOf(found))
		held := 0
		columns := []column{
			{name: "line", width: 8, right: true}, {name: "state", width: 9}, {name: "records", width: 9, right: true}, {name: "acted in", width: 9, right: true}, {name: "near", width: 6, right: true}, {name: "user", width: 20},
		}
		unknown := uint64(0)
		err = e.list(columns, func(yield func(row, error) bool) {
			for i, t := range found {
				u := t.User
				d := dryErase{User: u, State: "erase", Records: t.Records, Acted: t.Acted, Unknown: t.Unknown, ActedUnknown: t.ActedUnknown, Near: t.Near}
				unknown = max(unknown, t.Unknown, t.ActedUnknown)
				if l.lines != nil {
					d.Line = l.lines[i]
				}
				switch {
				case !t.Known:
					d.State = "not found"
				case t.Held:
					d.State = "held"
					held++
				}
				if !yield(row{[]string{strconv.Itoa(d.Line), d.State, display.Number(d.Records), display.Number(d.Acted), strconv.Itoa(d.Near), u}, d}, nil) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		if unknown > 0 {
			e.note("%s in archives could not be read, and may be affected as well", display.Count(unknown, "record", "records"))
		}
		e.note("dry run of %s, nothing was erased; %s not found, %s under a hold", display.Count(len(l.ids), "user", "users"), display.Number(len(l.missing)), display.Number(held))
		switch {
		case held > 0:
			return &exitError{code: exitFailed}
		case len(l.missing) > 0 && !o.missingOK:
			return &exitError{code: exitLimited}
		}
		return nil
	})
}

// showErasure prints the certificates of erasures, or writes them to a file.
// whole says that no erasure failed.
func (e *env) showErasure(x *service.Erasure, l *lookup, file *os.File, whole bool) error {
	if len(x.All) == 0 {
		if x.Held > 0 || !whole {
			return nil // the error says it
		}
		none := struct {
			Records  uint64           `json:"records"`
			Subjects []record.Subject `json:"subjects"`
			Missing  int              `json:"missing"`
			Near     int              `json:"near"`
		}{0, []record.Subject{}, len(l.missing), l.nearTotal()}
		return e.sheet(none, []field{{"erased", "nothing: " + service.ErrNothingStored.Error()}})
	}
	if err := e.issue(&x.Certificates, file); err != nil {
		var seqs []uint64
		for _, c := range x.All {
			seqs = append(seqs, c.Seq)
		}
		return notCertified(seqs, err)
	}
	return nil
}

// notCertified returns the error of erasures that were carried out, but whose
// certificates were not made or not written.
func notCertified(seqs []uint64, err error) error {
	texts := make([]string, len(seqs))
	for i, seq := range seqs {
		texts[i] = strconv.FormatUint(seq, 10)
	}
	return fmt.Errorf("gdpr erase: the erasure was carried out, but the certificate was not written: %w; 'audittrail gdpr certificate %s' issues it again", err, strings.Join(texts, " "))
}

// issue prints certificates, or writes them to a file.
func (e *env) issue(c *service.Certificates, file *os.File) error {
	all, err := encoded(c.All)
	if err != nil {
		discard(file)
		return err
	}
	name := ""
	if file != nil {
		name = file.Name()
		err := fillSecret(file, func(f *os.File) error {
			for _, text := range all {
				if _, err := f.Write(append(text, '\n')); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.printCertificates(all, c.VKeys, name)
}

// encoded encodes certificates.
func encoded(certificates []*certificate.Certificate) ([][]byte, error) {
	all := make([][]byte, len(certificates))
	for i, c := range certificates {
		var err error
		if all[i], err = c.Encode(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// printCertificates prints certificates: with -o json as they are, and otherwise
// as text, followed by the certificates themselves unless a file has them.
func (e *env) printCertificates(all [][]byte, vkeys []string, file string) error {
	out := bufio.NewWriter(e.stdout)
	for _, text := range all {
		if e.output == asTable || e.output == asCSV {
			facts, err := checkCertificate(text, vkeys)
			if err != nil {
				return err
			}
			if err := e.writeSheet(out, nil, certificateFields(facts)); err != nil {
				return err
			}
			if file != "" || e.output == asCSV {
				continue
			}
			if _, err := out.WriteString("\n"); err != nil {
				return err
			}
		}
		if _, err := e.forTerminal(out).Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}

func checkCertificate(text []byte, vkeys []string) (*certificate.Facts, error) {
	c, err := certificate.Decode(text)
	if err != nil {
		return nil, err
	}
	return c.Check(vkeys)
}

func certificateFields(f *certificate.Facts) []field {
	var subjects []string
	const shown = 4
	for _, s := range f.Subjects[:min(len(f.Subjects), shown)] {
		subjects = append(subjects, s.String())
	}
	if more := len(f.Subjects) - shown; more > 0 {
		subjects = append(subjects, "and "+display.Number(more)+" more")
	}
	var s sheetBuilder
	s.add("erased", display.Count(len(f.Subjects), "person", "persons")+", "+display.Count(f.Records, "record", "records"))
	if f.Unknown > 0 {
		s.add("not known", "how many of "+display.Count(f.Unknown, "record", "records")+" in archives that could not be read")
	}
	switch {
	case !f.HasActorCounts:
		s.add("acted in", "not known: the first form of certificates does not contain it")
	case f.ActedUnknown > 0:
		s.add("acted in", display.Count(f.Acted, "record", "records")+", and how many of "+display.Number(f.ActedUnknown)+" in archives that could not be read is not known")
	default:
		s.add("acted in", display.Count(f.Acted, "record", "records"))
	}
	s.add("subject", strings.Join(subjects, "\n"))
	s.add("ordered by", "record "+strconv.FormatUint(f.Seq, 10)+", "+display.Time(f.Logged))
	s.add("log", f.Origin)
	s.add("reason", f.Reason)
	s.add("basis", f.Basis)
	s.add("approval", f.Approval)
	s.add("asked for by", f.By)
	s.add("before", checkpointText(f.Before))
	s.add("after", checkpointText(f.After))
	backups := "none"
	if len(f.Backups) > 0 {
		var lines []string
		for _, b := range f.Backups {
			lines = append(lines, b.ID.String()+", until "+display.Time(b.Expires))
		}
		backups = strings.Join(lines, "\n") + "\nwith which, together with their identity, contents can be read until then"
	}
	s.add("backups", backups)
	s.add("issued", display.Time(f.Issued))
	return s.fields
}

func checkpointText(c tlog.Checkpoint) string {
	return display.Count(c.Size, "record", "records") + ", root " + c.Root.String()
}

func (e *env) certificateCmd() *cobra.Command {
	var list bool
	var out string
	cmd := &cobra.Command{
		Use:   "certificate SEQ...",
		Short: "Issue the certificate of an erasure again",
		Long: `Certificate issues the certificate of an erasure again, for example because the
first one was lost. It takes the number of the record that ordered the erasure;
--list lists the erasures with these numbers. The counts and backups in the new
certificate are as of now, and its checkpoint of the earlier log is signed now.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail gdpr certificate --list
  audittrail gdpr certificate 4711 --out certificate.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if list == (len(args) > 0) || list && out != "" {
				return errors.New("gdpr certificate: give the number of a record that ordered an erasure, or --list")
			}
			return e.reading(func(s *service.Session) error {
				if list {
					return e.listErasures(s)
				}
				return e.issueAgain(s, args, out)
			})
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list all erasures")
	cmd.Flags().StringVar(&out, "out", "", "write the certificate to this `file`")
	cmd.AddCommand(e.certificateVerifyCmd())
	return cmd
}

// An erasureItem is an erasure in the JSON of a list.
type erasureItem struct {
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Subjects int       `json:"subjects"`
	Basis    string    `json:"basis"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	Approval string    `json:"approval,omitempty"`
}

func (e *env) listErasures(s *service.Session) error {
	erasures, err := s.Erasures(e.ctx, service.ErasuresRequest{})
	if err != nil {
		return err
	}
	columns := []column{
		{name: "seq", width: 8, right: true}, {name: "time", width: 24}, {name: "persons", width: 8, right: true}, {name: "basis", width: 18}, {name: "reason", width: 20},
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for o, err := range erasures {
			if err != nil {
				yield(row{}, err)
				return
			}
			item := erasureItem{o.Receipt.Seq, o.Logged, len(o.Subjects), o.Basis, o.Reason, o.By, o.Approval}
			if !yield(row{[]string{strconv.FormatUint(item.Seq, 10), display.Time(o.Logged), display.Number(item.Subjects), o.Basis, o.Reason}, item}, nil) {
				return
			}
		}
	})
}

// issueAgain issues the certificates of earlier erasures.
func (e *env) issueAgain(s *service.Session, args []string, out string) error {
	var seqs []uint64
	for _, arg := range args {
		seq, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return fmt.Errorf("gdpr certificate: invalid record number %q: use a number that --list shows", arg)
		}
		seqs = append(seqs, seq)
	}
	certificates, err := s.Certify(e.ctx, service.CertifyRequest{Seqs: seqs})
	if errors.Is(err, service.ErrDenied) {
		return err
	}
	if err != nil {
		return fmt.Errorf("gdpr certificate: %w; --list shows the erasures", err)
	}
	var file *os.File
	if out != "" {
		if file, err = createSecret(out); err != nil {
			return fmt.Errorf("gdpr certificate: %w", err)
		}
	}
	if err := e.issue(certificates, file); err != nil {
		return fmt.Errorf("gdpr certificate: %w", err)
	}
	return nil
}

func (e *env) certificateVerifyCmd() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "verify FILE --key VKEY",
		Short: "Check a certificate, without the log",
		Long: `Verify needs no log: the certificate contains the record that ordered the
erasure, the proof that the log contains this record, and the log's signature.
"-" is standard input. A file can contain several certificates, one per line;
lines that are not JSON are ignored.

After a change of the log's signer, give --key for each of its keys.` +
			exits("0  valid", "1  the check could not be completed, or the file is not a certificate", "2  invalid"),
		Example: `  audittrail gdpr certificate verify certificate.json --key log.vkey`,
		Args:    takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(keys) == 0 {
				return errors.New("gdpr certificate verify: no key given; give the log's verifier key with --key; 'audittrail keys show' prints it on the log's machine")
			}
			keys, err := e.vkeys(keys)
			if err != nil {
				return fmt.Errorf("gdpr certificate verify: %w", err)
			}
			return e.verifyCertificates(args[0], keys)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "verifier `key` of the log, or a file of them; may be repeated")
	return cmd
}

func (e *env) verifyCertificates(name string, keys []string) error {
	text, err := e.readInput(name, 4*certificate.MaxBytes)
	if err != nil {
		return fmt.Errorf("gdpr certificate verify: %w", err)
	}
	lines := certificateLines(text)
	if len(lines) == 0 {
		return fmt.Errorf("gdpr certificate verify %s: %w: no line is JSON", inputName(name), certificate.ErrFormat)
	}
	var facts []*certificate.Facts
	for i, line := range lines {
		f, err := checkCertificate(line, keys)
		if err != nil {
			err = fmt.Errorf("certificate %d in %s: %w", i+1, inputName(name), err)
			if errors.Is(err, certificate.ErrMismatch) {
				return &exitError{exitAltered, err}
			}
			return doesNotHold(err)
		}
		facts = append(facts, f)
	}
	for _, f := range facts {
		result := struct {
			Holds    bool             `json:"holds"`
			Origin   string           `json:"origin"`
			Seq      uint64           `json:"seq"`
			Subjects []record.Subject `json:"subjects"`
			Records  uint64           `json:"records"`
			Unknown  uint64           `json:"unknown,omitempty"`
			Reason   string           `json:"reason"`
			Basis    string           `json:"basis"`
			Backups  int              `json:"backups"`
			Acted    *uint64          `json:"acted"` // null: the certificate does not contain it
			Away     uint64           `json:"acted_unknown,omitempty"`
		}{true, f.Origin, f.Seq, f.Subjects, f.Records, f.Unknown, f.Reason, f.Basis, len(f.Backups), actedOf(f), f.ActedUnknown}
		if err := e.sheet(result, append([]field{{"holds", "the log permanently contains the order of this erasure;\nit signed that the keys are destroyed, and the numbers of records"}}, certificateFields(f)...)); err != nil {
			return err
		}
	}
	return nil
}

// actedOf returns in how many records the subjects of a certificate acted, or nil
// if the certificate does not contain it.
func actedOf(f *certificate.Facts) *uint64 {
	if !f.HasActorCounts {
		return nil
	}
	return &f.Acted
}
