package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/certificate"
	"audittrail/governance"
	"audittrail/privacy"
	"audittrail/record"
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
		Short: "Forget a person",
		Long: `Erase destroys the keys under which everything about a user is sealed, for good:
in the log, and in all copies of log, archives and index. The records stay, and
the log verifies; what they said, and whose they were, nobody can read any more.

It prints a certificate, in JSON with -o json or into --out: what was ordered
and proven, how many records it covered, and which backups of the keys can still
open them until they expire. 'gdpr certificate verify' checks it, without the
log.

If a hold keeps any of it, nothing is erased. On a user on whom nothing is held
there is nothing to erase: the command says so, counts the known users whose
ids differ only in case, blanks or accents, and ends with 3, unless --missing-ok
takes it. With --file, such users are named by their lines; those whom a hold
keeps are left out, the others are erased, and the command ends with 1.

On a terminal it says what it is about to erase, and asks; --yes answers.
--dry-run says it, for each user, and erases nothing.` +
			exits(ends0, "1  it did not, or not all: a hold keeps it, or stderr says why", ends2, "3  some of the users are not known: nothing was erased of those", ends4),
		Example: `  audittrail gdpr erase alice --reason "asked by letter" --basis "GDPR 17(1)(b)"
  audittrail gdpr erase --file users.txt --reason "contract ended" \
      --basis "GDPR 17(1)(a)" --out certificates.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := e.usersOf(cmd, &o.users, o.file, args)
			if err != nil {
				return err
			}
			if o.dryRun {
				o.reason, o.basis = cmp.Or(o.reason, "none"), cmp.Or(o.basis, "none") // which nothing records
			}
			if strings.TrimSpace(o.reason) == "" || strings.TrimSpace(o.basis) == "" {
				return errors.New("gdpr erase: say why with --reason, and on which article it stands with --basis")
			}
			if err := checkReason(o.reason, users.ids, o.force); err != nil {
				return fmt.Errorf("gdpr erase: %w", err)
			}
			if o.dryRun {
				return e.eraseDry(o, users)
			}
			return e.erase(o, users)
		},
	}
	f := cmd.Flags()
	o.users.flags(cmd)
	f.StringVar(&o.file, "file", "", "`file` of users, one a line; - is standard input")
	f.StringVar(&o.reason, "reason", "", "why, for the record; it must not say who")
	f.StringVar(&o.basis, "basis", "", "`article` that it stands on, such as \"GDPR 17(1)(b)\"")
	f.StringVar(&o.id, "approval", "", "`id` of a second person's approval")
	f.StringVar(&o.out, "out", "", "write the certificate to this `file`")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be erased, and erase nothing")
	f.BoolVar(&o.missingOK, "missing-ok", false, "end with 0 although some users are not known")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask on a terminal")
	f.BoolVar(&o.force, "force", false, forceUsage)
	cmd.PreRunE = oneForm(&o.out, "json", "jsonl", "ndjson")
	e.writerFlags(cmd)
	return cmd
}

// eraseBatch is how many people one record forgets.
const eraseBatch = 25_000

// An erasing is an erasure under way.
type erasing struct {
	found *lookup
	done  []*audittrail.ErasureOrder
	held  int // users whom a hold keeps
	holds []string
	file  *os.File // of the certificates; nil if they are printed, or written
}

// discard removes the file of certificates that there are none of.
func (x *erasing) discard() {
	if x.file != nil {
		_ = fillSecret(x.file, func(*os.File) error { return errors.New("nothing to write") })
	}
}

func (e *env) erase(o eraseOptions, list *userList) error {
	users := list.ids
	return e.withDesk(e.openToWrite, access.DeleteData, func(log *audittrail.Log, desk *privacy.Manager, who actor) error {
		err := e.checkApproval(o.id, who, func() (privacy.Approval, error) { return desk.ErasureApproval(o.id, users, e.now()) })
		if err != nil {
			return fmt.Errorf("gdpr erase: %w", err)
		}
		found, err := e.look(desk, list)
		if err != nil {
			return fmt.Errorf("gdpr erase: %w", err)
		}
		order := audittrail.Erasure{Reason: o.reason, Basis: o.basis, Approval: o.id, By: who.by}
		if err := e.askErase(o, found); err != nil {
			return fmt.Errorf("gdpr erase: %w", err)
		}
		x := erasing{found: found}
		if o.out != "" {
			// Before anything is gone: that there can be a file there.
			if x.file, err = createSecret(o.out); err != nil {
				return fmt.Errorf("gdpr erase: %w", err)
			}
			defer x.discard()
		}
		progress := e.newBar("erase", int64(len(users)), false)
		for batch := range slices.Chunk(users, eraseBatch) {
			order.Users = batch
			if err := e.eraseBatch(log, order, &x, len(users) > 1); err != nil {
				progress.leave()
				if len(x.done) > 0 { // some of them are forgotten already
					err = errors.Join(err, e.certify(log, o, &x))
				}
				return err
			}
			progress.set(progress.done + int64(len(batch)))
		}
		progress.finish()
		if err := e.certify(log, o, &x); err != nil {
			return err
		}
		if x.held > 0 {
			return fmt.Errorf("gdpr erase: %s held by %s, and not erased: release the hold first",
				count(x.held, "user is", "users are"), strings.Join(x.holds[:min(len(x.holds), 5)], ", "))
		}
		if n := len(found.missing); n > 0 && !o.missingOK {
			return &exitError{exitLimited, fmt.Errorf("gdpr erase: nothing is held on %s of %s: nothing was erased for %s; --missing-ok takes that",
				number(n), count(len(users), "user", "users"), oneOrMany(n, "that one", "those"))}
		}
		return nil
	})
}

// askErase says on a terminal what is about to be erased, and asks whether it is
// to be.
func (e *env) askErase(o eraseOptions, l *lookup) error {
	e.noteLookup(l)
	known := len(l.ids) - len(l.missing)
	if o.yes || !e.inTerminal || !e.errTerminal || known == 0 {
		return nil
	}
	_, err := fmt.Fprintf(e.stderr, "audittrail: erase all that is held on %s, permanently? [y/N] ", count(known, "user", "users"))
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

// A dryErase is what would become of one user.
type dryErase struct {
	Line    int    `json:"line,omitempty"`
	User    string `json:"user"`
	State   string `json:"state"` // erase, held or not found
	Records uint64 `json:"records"`
	Acted   uint64 `json:"acted,omitempty"`
	// Of how many records in archives that could not be read it is not known
	// whether they are among Records, and among Acted.
	Unknown      uint64 `json:"unknown,omitempty"`
	ActedUnknown uint64 `json:"acted_unknown,omitempty"`
	Near         int    `json:"near"`
}

// eraseDry says what an erasure would do.
func (e *env) eraseDry(o eraseOptions, users *userList) error {
	err := e.withDesk(e.openToRead, access.DeleteData, func(log *audittrail.Log, desk *privacy.Manager, _ actor) error {
		l, err := e.look(desk, users)
		if err != nil {
			return err
		}
		tallies, err := desk.CountAffected(e.ctx, users.ids)
		if err != nil {
			return err
		}
		held, err := e.heldUsers(log, users.ids)
		if err != nil {
			return err
		}
		missing := map[int]bool{}
		for _, i := range l.missing {
			missing[i] = true
		}
		columns := []column{
			{name: "line", width: 8, right: true}, {name: "state", width: 9}, {name: "records", width: 9, right: true}, {name: "acted in", width: 9, right: true}, {name: "near", width: 6, right: true}, {name: "user", width: 20},
		}
		unknown := uint64(0)
		err = e.list(columns, func(yield func(row, error) bool) {
			for i, u := range l.ids {
				t := tallies[i]
				d := dryErase{User: u, State: "erase", Records: t.Records, Acted: t.Acted, Unknown: t.Unknown, ActedUnknown: t.ActedUnknown, Near: l.near[i]}
				unknown = max(unknown, t.Unknown, t.ActedUnknown)
				if l.lines != nil {
					d.Line = l.lines[i]
				}
				switch {
				case missing[i]:
					d.State = "not found"
				case held[u]:
					d.State = "held"
				}
				if !yield(row{[]string{strconv.Itoa(d.Line), d.State, number(d.Records), number(d.Acted), strconv.Itoa(d.Near), u}, d}, nil) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
		if unknown > 0 {
			e.note("how many more are in archives is not known of %s that could not be read", count(unknown, "record", "records"))
		}
		e.note("nothing was erased: it was a dry run of %s; %s not known, %s held", count(len(l.ids), "user", "users"), number(len(l.missing)), number(len(held)))
		switch {
		case len(held) > 0:
			return &exitError{code: exitFailed}
		case len(l.missing) > 0 && !o.missingOK:
			return &exitError{code: exitLimited}
		}
		return nil
	})
	e.recordDenial(err)
	return err
}

// heldUsers returns those of some users whom a hold keeps.
func (e *env) heldUsers(log *audittrail.Log, users []string) (map[string]bool, error) {
	all := map[string]bool{}
	rest := slices.Clone(users)
	for {
		err := log.CheckErase(e.ctx, rest)
		var held *governance.LegalHoldError
		if !errors.As(err, &held) || len(held.Users) == 0 {
			return all, err
		}
		for _, u := range held.Users {
			all[u] = true
		}
		rest = slices.DeleteFunc(rest, func(u string) bool { return all[u] })
	}
}

// eraseBatch erases some users; of many, those whom no hold keeps.
func (e *env) eraseBatch(log *audittrail.Log, order audittrail.Erasure, x *erasing, many bool) error {
	for {
		done, err := log.Erase(e.ctx, order)
		var held *governance.LegalHoldError
		if many && errors.As(err, &held) && len(held.Users) > 0 {
			keep := make(map[string]bool, len(held.Users))
			for _, u := range held.Users {
				keep[u] = true
			}
			x.held += len(keep)
			for _, h := range held.Holds {
				if !slices.Contains(x.holds, h.ID) {
					x.holds = append(x.holds, h.ID)
				}
			}
			order.Users = slices.DeleteFunc(slices.Clone(order.Users), func(u string) bool { return keep[u] })
			continue
		}
		if err != nil {
			return err
		}
		if len(done.Subjects) > 0 {
			x.done = append(x.done, done)
		}
		return nil
	}
}

// certify makes and prints the certificates of what was erased.
func (e *env) certify(log *audittrail.Log, o eraseOptions, x *erasing) error {
	if len(x.done) == 0 {
		if x.held > 0 {
			return nil // which is said in its place
		}
		none := struct {
			Records  uint64           `json:"records"`
			Subjects []record.Subject `json:"subjects"`
			Missing  int              `json:"missing"`
			Near     int              `json:"near"`
		}{0, []record.Subject{}, len(x.found.missing), x.found.nearTotal()}
		return e.sheet(none, []field{{"erased", "nothing: " + privacy.ErrNothingStored.Error()}})
	}
	file := x.file
	x.file = nil
	if err := e.issue(log, x.done, file); err != nil {
		var seqs []string
		for _, done := range x.done {
			seqs = append(seqs, strconv.FormatUint(done.Receipt.Seq, 10))
		}
		return fmt.Errorf("gdpr erase: it was done, but for the certificate: %w; 'audittrail gdpr certificate %s' issues it again", err, strings.Join(seqs, " "))
	}
	return nil
}

// issue makes the certificates of erasures, the newest of which is the last, and
// prints them, or writes them to a file.
func (e *env) issue(log *audittrail.Log, orders []*audittrail.ErasureOrder, file *os.File) error {
	all, err := e.certificates(log, orders)
	if err != nil {
		if file != nil {
			err = errors.Join(err, ignoreAbsent(file.Close()), os.Remove(file.Name()))
		}
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
	return e.printCertificates(log, all, name)
}

func (e *env) certificates(log *audittrail.Log, orders []*audittrail.ErasureOrder) ([][]byte, error) {
	made, err := privacy.Certify(e.ctx, log, e.engine(log), orders, e.now())
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, c := range made {
		text, err := c.Encode()
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

// printCertificates prints certificates: as they are in JSON, and otherwise what
// they say, and then as they are unless they are in a file already.
func (e *env) printCertificates(log *audittrail.Log, all [][]byte, file string) error {
	keys, err := log.Keys()
	if err != nil {
		return err
	}
	var vkeys []string
	for _, k := range keys {
		vkeys = append(vkeys, k.VKey)
	}
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
		subjects = append(subjects, "and "+number(more)+" more")
	}
	var s sheetBuilder
	s.add("erased", count(len(f.Subjects), "person", "persons")+", "+count(f.Records, "record", "records"))
	if f.Unknown > 0 {
		s.add("not known", "how many of "+count(f.Unknown, "record", "records")+" in archives that could not be read")
	}
	switch {
	case !f.HasActorCounts:
		s.add("acted in", "not known: the certificate is of the first form, which does not tell")
	case f.ActedUnknown > 0:
		s.add("acted in", count(f.Acted, "record", "records")+", and how many of "+number(f.ActedUnknown)+" in archives that could not be read is not known")
	default:
		s.add("acted in", count(f.Acted, "record", "records"))
	}
	s.add("subject", strings.Join(subjects, "\n"))
	s.add("ordered by", "record "+strconv.FormatUint(f.Seq, 10)+", "+timeText(f.Logged))
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
			lines = append(lines, b.ID.String()+", until "+timeText(b.Expires))
		}
		backups = strings.Join(lines, "\n") + "\nwith which it can be read until then, by whoever has their identity"
	}
	s.add("backups", backups)
	s.add("issued", timeText(f.Issued))
	return s.fields
}

func checkpointText(c tlog.Checkpoint) string {
	return count(c.Size, "record", "records") + ", root " + c.Root.String()
}

func (e *env) certificateCmd() *cobra.Command {
	var list bool
	var out string
	cmd := &cobra.Command{
		Use:   "certificate SEQ...",
		Short: "Issue the certificate of an erasure again",
		Long: `Certificate makes the certificate of an erasure from the log, by the number of
the record that ordered it, also if the first one was lost or could not be
written.
--list shows the erasures with these numbers. What it counts and which backups
it names is as of now; its checkpoint of the log before is signed now.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail gdpr certificate --list
  audittrail gdpr certificate 4711 --out certificate.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if list == (len(args) > 0) || list && out != "" {
				return errors.New("gdpr certificate: give the number of a record that ordered an erasure, or --list")
			}
			err := e.withDesk(e.openToRead, access.DeleteData, func(log *audittrail.Log, _ *privacy.Manager, _ actor) error {
				if list {
					return e.listErasures(log)
				}
				return e.issueAgain(log, args, out)
			})
			e.recordDenial(err)
			return err
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list the erasures that the log has ordered")
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

func (e *env) listErasures(log *audittrail.Log) error {
	columns := []column{
		{name: "seq", width: 8, right: true}, {name: "time", width: 24}, {name: "persons", width: 8, right: true}, {name: "basis", width: 18}, {name: "reason", width: 20},
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for o, err := range log.Erasures(e.ctx) {
			if err != nil {
				yield(row{}, err)
				return
			}
			item := erasureItem{o.Receipt.Seq, o.Logged, len(o.Subjects), o.Basis, o.Reason, o.By, o.Approval}
			if !yield(row{[]string{strconv.FormatUint(item.Seq, 10), timeText(o.Logged), number(item.Subjects), o.Basis, o.Reason}, item}, nil) {
				return
			}
		}
	})
}

// issueAgain issues certificates of erasures that were ordered some time ago.
func (e *env) issueAgain(log *audittrail.Log, args []string, out string) error {
	var seqs []uint64
	for _, arg := range args {
		seq, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return fmt.Errorf("gdpr certificate: %q is not the number of a record; --list shows those of the erasures", arg)
		}
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	var orders []*audittrail.ErasureOrder
	for _, seq := range slices.Compact(seqs) {
		o, err := log.ErasureAt(e.ctx, seq)
		if err != nil {
			return fmt.Errorf("gdpr certificate: %w; --list shows the erasures", err)
		}
		orders = append(orders, o)
	}
	var file *os.File
	if out != "" {
		var err error
		if file, err = createSecret(out); err != nil {
			return fmt.Errorf("gdpr certificate: %w", err)
		}
	}
	if err := e.issue(log, orders, file); err != nil {
		return fmt.Errorf("gdpr certificate: %w", err)
	}
	return nil
}

func (e *env) certificateVerifyCmd() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "verify FILE --key VKEY",
		Short: "Check a certificate, without the log",
		Long: `Verify needs no log: the certificate has the record that ordered the erasure,
the proof that the log has it, and the log's signature. "-" is standard input. A
file may hold several, one a line; lines that are not JSON are left out.

After a change of the log's signer, give --key for each of its keys.` +
			exits("0  it holds", "1  it could not be checked, or is no certificate", "2  it does not hold"),
		Example: `  audittrail gdpr certificate verify certificate.json --key log.vkey`,
		Args:    takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(keys) == 0 {
				return errors.New("gdpr certificate verify: give the log's verifier key with --key; 'audittrail keys show' prints it where the log is")
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
		return fmt.Errorf("gdpr certificate verify %s: %w: no line of it is JSON", inputName(name), certificate.ErrFormat)
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
			Acted    *uint64          `json:"acted"` // null: the certificate does not tell
			Away     uint64           `json:"acted_unknown,omitempty"`
		}{true, f.Origin, f.Seq, f.Subjects, f.Records, f.Unknown, f.Reason, f.Basis, len(f.Backups), actedOf(f), f.ActedUnknown}
		if err := e.sheet(result, append([]field{{"holds", "the log ordered this erasure and has it for good;\nit signed that the keys are gone, and the numbers of records"}}, certificateFields(f)...)); err != nil {
			return err
		}
	}
	return nil
}

// actedOf is in how many records the subjects of a certificate acted, or nil if
// it does not tell.
func actedOf(f *certificate.Facts) *uint64 {
	if !f.HasActorCounts {
		return nil
	}
	return &f.Acted
}
