// Mutate removes guards from the code, one at a time, and lists those whose
// removal no test notices.
//
//	mutate [-match REGEXP] [-run REGEXP] [-sample N] [-seed S] [-equivalent FILE] PACKAGE... [-- TESTED...]
//
// A PACKAGE is a folder, or one file of it.
//
// A guard is an if statement, or a case of a switch without a tag, whose body
// ends in return, continue, break, goto or panic. A plain "if err != nil" is a
// guard only if the error comes from a call in the same statement whose name
// says that it checks something, and "if !yield(...)" is not a guard. The
// condition of a removed guard is evaluated, and then false.
//
// All guards of the packages are compiled into one test binary for each tested
// package, and a file switches one of them off, also in the processes that a
// test starts. A first run of every test by itself records which guards it
// takes: those whose conditions are true at least once, since the removal of
// others has no effect. Each guard is tried only with the tests that take it,
// fastest first, until one fails.
//
// It prints a line for each guard that survives, and exits with 1 if there are
// any. A guard whose removal no test can notice, because a later one gives the
// same result, is listed with its reason in the file that -equivalent names:
// lines of "FILE FUNC CONDITION # REASON".
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A guard is one condition that can be switched off.
type guard struct {
	id        int
	file      string // from the module's folder
	line      int
	function  string
	condition string // on one line
	from, to  int    // the condition's bytes in the file
}

func (g *guard) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", g.file, g.line, g.function, g.condition)
}

// key identifies a guard independently of its line.
func (g *guard) key() string { return g.file + " " + g.function + " " + g.condition }

// A trial is one test, run by itself.
type trial struct {
	binary, dir, run string // the test binary, its package's folder, the pattern
	took             time.Duration
	takes            map[int]bool
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

type options struct {
	match, run *regexp.Regexp
	sample     int
	seed       string
	equivalent string
	timeout    time.Duration
	packages   []string // whose guards are removed
	tested     []string // whose tests are run
}

func parseOptions() (o options, err error) {
	match := flag.String("match", "", "only guards whose line of the list matches this `REGEXP`")
	tests := flag.String("run", "", "only tests whose name matches this `REGEXP`")
	flag.IntVar(&o.sample, "sample", 0, "try only `N` guards, chosen by the seed")
	flag.StringVar(&o.seed, "seed", time.Now().UTC().Format(time.DateOnly), "the seed of the sample")
	flag.StringVar(&o.equivalent, "equivalent", "", "`FILE` of guards whose removal no test can notice, with the reasons")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Minute, "after which a test that does not end counts as failed")
	flag.Parse()
	args := flag.Args()
	o.packages = args
	if i := slices.Index(args, "--"); i >= 0 {
		o.packages, o.tested = args[:i], args[i+1:]
	}
	if len(o.packages) == 0 {
		return o, errors.New("name the packages whose guards are to be removed, such as internal/verify")
	}
	for i, pkg := range o.packages {
		o.tested = slices.Insert(o.tested, i, folder(pkg))
	}
	var rerr error
	o.match, err = regexp.Compile(*match)
	o.run, rerr = regexp.Compile(*tests)
	return o, errors.Join(err, rerr)
}

func run(ctx context.Context) error {
	o, err := parseOptions()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	control := filepath.Join(scratch, "control")
	if err := os.WriteFile(control, nil, 0o600); err != nil {
		return err
	}
	guards, overlay, err := instrument(scratch, control, o.packages)
	if err != nil {
		return err
	}
	excused, err := readEquivalent(o.equivalent)
	if err == nil {
		err = known(excused, guards)
	}
	if err != nil {
		return err
	}
	trials, err := build(ctx, scratch, overlay, &o)
	if err != nil {
		return err
	}
	trials, failing, err := record(ctx, scratch, control, trials, o.timeout)
	if err != nil {
		return err
	}
	survivors, err := try(ctx, control, choose(guards, &o), trials, excused, o.timeout)
	if err != nil {
		return err
	}
	if failing > 0 {
		return fmt.Errorf("%d tests fail with all guards in place, and were not run without them", failing)
	}
	if survivors > 0 {
		return fmt.Errorf("%d guards can be removed without a failing test", survivors)
	}
	return nil
}

// choose returns the guards to be tried.
func choose(guards []*guard, o *options) []*guard {
	guards = slices.DeleteFunc(slices.Clone(guards), func(g *guard) bool { return !o.match.MatchString(g.String()) })
	if o.sample == 0 || o.sample >= len(guards) {
		return guards
	}
	order := func(g *guard) uint64 {
		h := fnv.New64a()
		_, _ = fmt.Fprint(h, o.seed, g.key())
		return h.Sum64()
	}
	slices.SortFunc(guards, func(a, b *guard) int {
		if order(a) < order(b) {
			return -1
		}
		return 1
	})
	guards = guards[:o.sample]
	slices.SortFunc(guards, func(a, b *guard) int { return a.id - b.id })
	return guards
}

// try switches off each guard in turn, and counts those that survive.
func try(ctx context.Context, control string, guards []*guard, trials []*trial, excused map[string]string, timeout time.Duration) (survivors int, err error) {
	began, killed, excusedCount := time.Now(), 0, 0
	for n, g := range guards {
		if reason, ok := excused[g.key()]; ok && reason != "" {
			excusedCount++
			continue
		}
		if err := os.WriteFile(control, []byte("off "+strconv.Itoa(g.id)), 0o600); err != nil {
			return survivors, err
		}
		by, taken := "", 0
		for _, t := range trials {
			if !t.takes[g.id] {
				continue
			}
			taken++
			if err := t.execute(ctx, timeout); err != nil {
				by = t.run
				break
			}
		}
		if by == "" {
			survivors++
			fmt.Printf("survives (%d tests take it): %s\n", taken, g)
			continue
		}
		killed++
		fmt.Fprintf(os.Stderr, "%d of %d, %s: %s fails without %s\n", n+1, len(guards), time.Since(began).Round(time.Second), by, g)
	}
	fmt.Printf("%d guards tried in %s: %d noticed by a test, %d survive, %d without effect\n",
		len(guards), time.Since(began).Round(time.Second), killed, survivors, excusedCount)
	return survivors, nil
}

// execute runs a test by itself. The error tells that it failed.
func (t *trial) execute(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.binary, "-test.run", t.run, "-test.failfast", "-test.timeout", timeout.String())
	cmd.Dir, cmd.WaitDelay = t.dir, 5*time.Second
	return cmd.Run()
}

// readEquivalent reads the guards whose removal no test can notice.
func readEquivalent(name string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndex(line, " # ")
		if i < 0 {
			return nil, fmt.Errorf("%s:%d: no reason: write FILE FUNC CONDITION # REASON", name, n+1)
		}
		reasons[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+3:])
	}
	return reasons, nil
}

// known returns an error for a reason whose guard does not exist, in a file
// that has guards.
func known(excused map[string]string, guards []*guard) error {
	keys, files := map[string]bool{}, map[string]bool{}
	for _, g := range guards {
		keys[g.key()], files[g.file] = true, true
	}
	for key := range excused {
		if file, _, _ := strings.Cut(key, " "); files[file] && !keys[key] {
			return fmt.Errorf("there is no guard %q: remove it from the list of guards whose removal no test can notice", key)
		}
	}
	return nil
}

// folder returns the folder of a package that may be given by a file.
func folder(pkg string) string {
	if filepath.Ext(pkg) == ".go" {
		return filepath.Dir(pkg)
	}
	return pkg
}

// instrument writes copies of the packages' files, in which each guard can be
// switched off, and an overlay that replaces the originals by them.
func instrument(scratch, control string, packages []string) (guards []*guard, overlay string, err error) {
	replace := map[string]string{}
	add := func(name, text string) error {
		to := filepath.Join(scratch, fmt.Sprintf("%d.go", len(replace)))
		abs, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		replace[abs] = to
		return os.WriteFile(to, []byte(text), 0o600)
	}
	for _, pkg := range packages {
		names := []string{pkg}
		if folder(pkg) == pkg {
			if names, err = filepath.Glob(filepath.Join(pkg, "*.go")); err != nil {
				return nil, "", err
			}
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, found, err := guardsOf(filepath.ToSlash(name), len(guards))
			if err != nil {
				return nil, "", err
			}
			if len(found) > 0 {
				guards = append(guards, found...)
				if err := add(name, text); err != nil {
					return nil, "", err
				}
			}
		}
	}
	if len(guards) == 0 {
		return nil, "", fmt.Errorf("no guard in %v: run mutate in the module's folder, and name packages by their folders", packages)
	}
	if err := add(filepath.Join("internal", "guard", "guard.go"), fmt.Sprintf(switchSource, control, len(guards))); err != nil {
		return nil, "", err
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, "", err
	}
	overlay = filepath.Join(scratch, "overlay.json")
	return guards, overlay, os.WriteFile(overlay, data, 0o600)
}

// checking matches the names of functions whose errors are checked by guards.
var checking = regexp.MustCompile(`(?i)check|verif|valid|authentic|match|compar|refuse|permit|allow|same|equal|known|bound`)

// guardsOf finds the guards of a file, and returns its text with a switch in
// each. Lines stay where they are.
func guardsOf(name string, firstID int) (string, []*guard, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return "", nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return "", nil, err
	}
	var guards []*guard
	function := ""
	add := func(cond ast.Expr) {
		from, to := set.Position(cond.Pos()), set.Position(cond.End())
		guards = append(guards, &guard{
			id: firstID + len(guards), file: name, line: from.Line, function: function,
			condition: strings.Join(strings.Fields(string(source[from.Offset:to.Offset])), " "), from: from.Offset, to: to.Offset,
		})
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		function = f.Name.Name
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				if leaves(n.Body.List) && decides(n) && !isYield(n.Cond) {
					add(n.Cond)
				}
			case *ast.SwitchStmt:
				if n.Tag != nil {
					return true
				}
				for _, s := range n.Body.List {
					if c := s.(*ast.CaseClause); len(c.List) == 1 && leaves(c.Body) && !isPropagation(c.List[0]) {
						add(c.List[0])
					}
				}
			}
			return true
		})
	}
	if len(guards) == 0 {
		return "", nil, nil
	}
	type edit struct {
		at   int
		text string
	}
	edits := []edit{{set.Position(file.Name.End()).Offset, `; import guard "audittrail/internal/guard"`}}
	for _, g := range guards {
		edits = append(edits, edit{g.from, fmt.Sprintf("guard.On(%d, ", g.id)}, edit{g.to, ")"})
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(source[at:e.at])
		out.WriteString(e.text)
		at = e.at
	}
	out.Write(source[at:])
	return out.String(), guards, nil
}

// leaves reports whether a block ends in a statement that skips the code after
// it.
func leaves(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	switch s := list[len(list)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && name.Name == "panic"
	}
	return false
}

// isPropagation reports whether a condition only tests an error for nil.
func isPropagation(cond ast.Expr) bool {
	b, ok := cond.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ && b.Op != token.EQL {
		return false
	}
	y, ok := b.Y.(*ast.Ident)
	x, isName := b.X.(*ast.Ident)
	return ok && isName && y.Name == "nil" && (x.Name == "err" || strings.HasSuffix(x.Name, "Err"))
}

// isYield reports whether a condition is the result of an iterator's yield.
func isYield(cond ast.Expr) bool {
	not, ok := cond.(*ast.UnaryExpr)
	if !ok || not.Op != token.NOT {
		return false
	}
	call, ok := not.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && name.Name == "yield"
}

// decides reports whether an if statement does more than return an error.
func decides(s *ast.IfStmt) bool {
	if !isPropagation(s.Cond) {
		return true
	}
	assign, ok := s.Init.(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return false
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return checking.MatchString(f.Name)
	case *ast.SelectorExpr:
		return checking.MatchString(f.Sel.Name)
	}
	return false
}

// build compiles the tests of the packages, and lists those to be run.
func build(ctx context.Context, scratch, overlay string, o *options) ([]*trial, error) {
	var trials []*trial
	for i, dir := range o.tested {
		if slices.Contains(o.tested[:i], dir) {
			continue
		}
		binary := filepath.Join(scratch, fmt.Sprintf("tests-%d", i))
		cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-c", "-overlay", overlay, "-o", binary, "./"+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go test -c %s: %w\n%s", dir, err, out)
		}
		if _, err := os.Stat(binary); err != nil {
			continue // the package has no tests
		}
		list := exec.CommandContext(ctx, binary, "-test.list", "^(Test|Fuzz|Example)")
		list.Dir = dir
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("list the tests of %s: %w", dir, err)
		}
		for name := range strings.FieldsSeq(string(out)) {
			if o.run.MatchString(name) {
				trials = append(trials, &trial{binary: binary, dir: dir, run: "^" + name + "$"})
			}
		}
	}
	return trials, nil
}

// slow is the time from which on a test's subtests are run by themselves.
const slow = 4 * time.Second

// record runs each test by itself, and keeps which guards it takes. The tests
// are returned fastest first. Failing tests are only counted.
func record(ctx context.Context, scratch, control string, trials []*trial, timeout time.Duration) (kept []*trial, failing int, err error) {
	taken := filepath.Join(scratch, "taken")
	if err := os.WriteFile(control, []byte("record "+taken), 0o600); err != nil {
		return nil, 0, err
	}
	for i := 0; i < len(trials); i++ {
		t := trials[i]
		if err := os.RemoveAll(taken); err != nil {
			return nil, 0, err
		}
		began := time.Now()
		cmd := exec.CommandContext(ctx, t.binary, "-test.run", t.run, "-test.v", "-test.timeout", (5 * timeout).String())
		cmd.Dir = t.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			failing++
			fmt.Printf("fails with all guards in place (%v): %s in %s\n%s\n", err, t.run, t.dir, out)
			continue
		}
		t.took = time.Since(began)
		if t.takes, err = readTaken(taken); err != nil {
			return nil, 0, err
		}
		if subs := subtests(t, out); t.took > slow && len(subs) > 1 {
			trials = append(trials, subs...)
			continue
		}
		if len(t.takes) > 0 {
			kept = append(kept, t)
		}
		fmt.Fprintf(os.Stderr, "%s in %s takes %d guards, %s\n", t.run, t.dir, len(t.takes), t.took.Round(time.Millisecond))
	}
	slices.SortFunc(kept, func(a, b *trial) int { return int(a.took - b.took) })
	return kept, failing, nil
}

// subtests returns the subtests of a test, to be run each by itself.
func subtests(t *trial, out []byte) []*trial {
	if strings.Contains(t.run, "/") {
		return nil
	}
	var all []*trial
	for _, m := range regexp.MustCompile(`(?m)^=== RUN +[^/\s]+/([^/\s]+)$`).FindAllSubmatch(out, -1) {
		all = append(all, &trial{binary: t.binary, dir: t.dir, run: t.run + "/^" + regexp.QuoteMeta(string(m[1])) + "$"})
	}
	return all
}

func readTaken(name string) (map[int]bool, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	ids := map[int]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			return nil, err
		}
		ids[id] = true
	}
	return ids, lines.Err()
}

// switchSource is the source of the package that the guards call.
const switchSource = `// Package guard switches guards off, in builds for mutation tests alone.
package guard

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var (
	off   = -1
	taken *os.File
	seen  [%[2]d]atomic.Bool
)

func init() {
	text, err := os.ReadFile(%[1]q)
	if err != nil {
		return
	}
	verb, rest, _ := strings.Cut(string(text), " ")
	switch verb {
	case "off":
		off, _ = strconv.Atoi(rest)
	case "record":
		taken, _ = os.OpenFile(rest, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	}
}

// On returns the condition of a guard, or false where that guard is taken out.
func On[T ~bool](id int, condition T) T {
	if taken != nil && bool(condition) && !seen[id].Load() && !seen[id].Swap(true) {
		_, _ = taken.WriteString(strconv.Itoa(id) + "\n")
	}
	return condition && id != off
}
`
