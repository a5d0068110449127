// Prose looks for sentences that must be read twice: in comments and texts of Go
// files, in documents, and in the subjects of commits. tools/prose/words.txt has
// the words that mark them, tools/prose/allowed.txt how many of each a file still
// has: a number that may only get smaller.
//
//	prose          fails where a file has more than its number, or fewer
//	prose -list    prints every match
//	prose -update  writes smaller numbers
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	wordsFile   = "tools/prose/words.txt"
	allowedFile = "tools/prose/allowed.txt"
	glossary    = "docs/glossary.md"
	// since is the commit after which subjects are looked at.
	since = "52b43d0"
	// subjectSize is the length of a subject.
	subjectSize = 72
)

// A word marks a sentence.
type word struct {
	pattern *regexp.Regexp
	advice  string
	excuses []string
}

// A match is a marked sentence.
type match struct {
	file   string
	line   int
	word   *word
	phrase string
}

func main() {
	list := flag.Bool("list", false, "print every match")
	update := flag.Bool("update", false, "write smaller numbers to "+allowedFile)
	flag.Parse()
	if err := run(*list, *update, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
}

func run(list, update bool, paths []string) error {
	words, err := readWords()
	if err != nil {
		return err
	}
	matches, err := look(words, paths)
	if err != nil {
		return err
	}
	if list {
		for _, m := range matches {
			fmt.Printf("%s:%d: %q: %s\n", m.file, m.line, m.phrase, m.word.advice)
		}
		return nil
	}
	return errors.Join(compare(matches, update), subjects())
}

func readWords() ([]*word, error) {
	f, err := os.ReadFile(wordsFile)
	if err != nil {
		return nil, err
	}
	var words []*word
	for line := range strings.Lines(string(f)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, "\t")
		if len(parts) < 2 {
			return nil, fmt.Errorf("%s: %q has no advice", wordsFile, line)
		}
		p, err := regexp.Compile("(?i)" + parts[0])
		if strings.HasPrefix(parts[0], "(^|") { // where the case tells
			p, err = regexp.Compile(parts[0])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", wordsFile, err)
		}
		w := &word{pattern: p, advice: parts[1]}
		if len(parts) > 2 {
			w.excuses = strings.Split(parts[2], "; ")
		}
		words = append(words, w)
	}
	return words, nil
}

// look finds the matches in the files that git knows.
func look(words []*word, paths []string) ([]match, error) {
	out, err := exec.Command("git", append([]string{"ls-files", "--"}, paths...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var matches []match
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if name == glossary {
			continue // it lists the words
		}
		var texts []text
		switch filepath.Ext(name) {
		case ".go":
			texts, err = ofGo(name)
		case ".md":
			texts, err = ofDocument(name)
		}
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			for _, w := range words {
				for _, at := range w.pattern.FindAllStringIndex(t.text, -1) {
					if !w.excused(t.text, at) {
						line := t.line + strings.Count(t.text[:at[0]], "\n")
						matches = append(matches, match{name, line, w, strings.Join(strings.Fields(t.text[at[0]:at[1]]), " ")})
					}
				}
			}
		}
	}
	return matches, nil
}

func (w *word) excused(text string, at []int) bool {
	around := strings.ToLower(text[max(0, at[0]-8):min(len(text), at[1]+8)])
	around = strings.Join(strings.Fields(around), " ")
	return slices.ContainsFunc(w.excuses, func(e string) bool { return strings.Contains(around, e) })
}

// A text is prose, from a line of a file on.
type text struct {
	line int
	text string
}

// ofGo returns the comments of a Go file and, unless it is a test, its strings.
func ofGo(name string) ([]text, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var texts []text
	for _, c := range f.Comments {
		if !strings.HasPrefix(c.List[0].Text, "//go:") {
			texts = append(texts, text{set.Position(c.Pos()).Line, c.Text()})
		}
	}
	if strings.HasSuffix(name, "_test.go") {
		return texts, nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && strings.Contains(s, " ") {
				texts = append(texts, text{set.Position(lit.Pos()).Line, s})
			}
		}
		return true
	})
	return texts, nil
}

// ofDocument returns the prose of a document, without its code.
func ofDocument(name string) ([]text, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var texts []text
	fenced := false
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			texts = append(texts, text{n, code.ReplaceAllString(line, "`x`")})
		}
	}
	return texts, in.Err()
}

var code = regexp.MustCompile("`[^`]*`")

// compare holds the matches of each file to its number.
func compare(matches []match, update bool) error {
	found := make(map[string]int)
	for _, m := range matches {
		found[m.file]++
	}
	allowed, err := readAllowed()
	if err != nil && !(update && errors.Is(err, os.ErrNotExist)) {
		return err
	}
	first := allowed == nil
	var errs []error
	for file, n := range found {
		if n > allowed[file] && !first {
			errs = append(errs, fmt.Errorf("%s: %d marked sentences, %d are allowed: see prose -list %s", file, n, allowed[file], file))
		}
	}
	for file, n := range allowed {
		if found[file] < n && !update {
			errs = append(errs, fmt.Errorf("%s: %d marked sentences, %d are allowed: make the number smaller, by prose -update", file, found[file], n))
		}
	}
	if len(errs) > 0 || !update {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return errors.Join(errs...)
	}
	var names []string
	for file := range found {
		names = append(names, file)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("# How many marked sentences a file has. No number may get larger.\n")
	for _, file := range names {
		fmt.Fprintf(&b, "%s %d\n", file, found[file])
	}
	return os.WriteFile(allowedFile, []byte(b.String()), 0o644)
}

func readAllowed() (map[string]int, error) {
	f, err := os.ReadFile(allowedFile)
	if err != nil {
		return nil, err
	}
	allowed := make(map[string]int)
	for line := range strings.Lines(string(f)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		var file string
		var n int
		if _, err := fmt.Sscan(line, &file, &n); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", allowedFile, line, err)
		}
		allowed[file] = n
	}
	return allowed, nil
}

var subject = regexp.MustCompile(`^[a-z0-9_./,\- ]+: [a-z].*[^.]$`)

// subjects looks at those of the commits since the rule, as far as they are here.
func subjects() error {
	args := []string{"log", "--no-merges", "--format=%s", since + "..HEAD"}
	out, err := exec.Command("git", args...).Output()
	if err != nil { // a shallow clone
		if out, err = exec.Command("git", "log", "-1", "--no-merges", "--format=%s").Output(); err != nil {
			return fmt.Errorf("read subjects of commits: %w", err)
		}
	}
	var errs []error
	for s := range strings.Lines(string(out)) {
		s = strings.TrimRight(s, "\n")
		if len(s) > subjectSize {
			errs = append(errs, fmt.Errorf("subject %q has %d characters: use at most %d", s, len(s), subjectSize))
		}
		if !subject.MatchString(s) {
			errs = append(errs, fmt.Errorf("subject %q: write \"package: imperative verb ...\"", s))
		}
	}
	return errors.Join(errs...)
}
