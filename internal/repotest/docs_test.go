package repotest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// guides are the pages whose commands are run as they stand, each from its
// first to its last in one shell, and what else than Go they need for it.
var guides = []struct {
	page  string
	needs []string
}{
	{page: "README.md"},
	{page: "docs/tutorial-go.md"},
	{page: "docs/tutorial-any-language.md", needs: []string{"python3"}},
	{page: "docs/tutorial-auditor.md", needs: []string{"sha256sum"}},
	{page: "docs/operations.md"},
	{page: "docs/access.md"},
	{page: "docs/retention.md"},
	{page: "docs/gdpr.md"},
	{page: "docs/lineage.md"},
	{page: "docs/reports.md"},
}

// TestGuides does what a reader of the guides does. In them,
//
//	```sh      is run in a clone of this repository,
//	```output  is the output of the commands before it, where … stands for
//	           any text in a line, on a line of its own for any lines, and any
//	           number of spaces for any other,
//
// and a comment before a block, <!-- file: NAME -->, says that the reader saves
// it under that name, or, <!-- not run: WHY -->, that it is not run here. A
// guide's folders in ~, /srv and /mnt are in the test's own folder.
func TestGuides(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the guides are for a POSIX shell")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./cmd/audittrail")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	for _, g := range guides {
		t.Run(g.page, func(t *testing.T) {
			t.Parallel()
			for _, name := range g.needs {
				needs(t, name)
			}
			text, err := os.ReadFile(g.page)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := readBlocks(string(text))
			if err != nil {
				t.Fatalf("%s: %v", g.page, err)
			}
			follow(t, g.page, blocks, bin)
		})
	}
}

// A block is a fenced block of a guide.
type block struct {
	line   int // of its fence, from 1
	kind   string
	file   string // the name to save it under
	notRun bool
	text   string
}

var comment = regexp.MustCompile(`^<!-- (file|not run): (.+) -->$`)

// readBlocks returns the fenced blocks of a page. A block that is neither run,
// compared, saved nor excused is a mistake: it might be believed.
func readBlocks(page string) ([]block, error) {
	var blocks []block
	var open *block
	var said []string // the comment before a block
	for i, line := range strings.Split(page, "\n") {
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case open != nil && line == "```":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case ok:
			open = &block{line: i + 1, kind: fence}
			if said != nil && said[1] == "file" {
				open.file = said[2]
			}
			open.notRun = said != nil && said[1] == "not run"
			if kind := open.kind; open.file == "" && !open.notRun && kind != "sh" && kind != "output" {
				return nil, fmt.Errorf("line %d: a block of kind %q: say in a comment what becomes of it", open.line, kind)
			}
			said = nil
		case line != "":
			said = comment.FindStringSubmatch(line)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block has no end", open.line)
	}
	return blocks, nil
}

// done marks the end of the output of a block.
const done = "=== done with the block at line "

// follow runs the blocks of a page and compares what they print.
func follow(t *testing.T, page string, blocks []block, bin string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bin", "srv", "mnt"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rooted := strings.NewReplacer("~/", dir+"/", "/srv/", dir+"/srv/", "/mnt/", dir+"/mnt/")
	var script strings.Builder
	script.WriteString("set -e\n")
	for _, b := range blocks {
		switch {
		case b.notRun:
		case b.file != "":
			script.WriteString(fmt.Sprintf("cat > %s <<'END OF FILE'\n%sEND OF FILE\n", rooted.Replace(b.file), rooted.Replace(b.text)))
		case b.kind == "sh":
			script.WriteString(fmt.Sprintf("%secho '%s%d'\n", rooted.Replace(b.text), done, b.line))
		}
	}
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte(script.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	printed, err := shell(t.Context(), dir, path, bin)
	sections, rest := map[int]string{}, printed
	last := 0
	for _, b := range blocks {
		if b.notRun || b.file != "" {
			continue
		}
		if b.kind == "output" {
			want := rooted.Replace(b.text)
			if got, ok := sections[last]; ok && !matches(want, got) {
				t.Errorf("%s:%d: the commands at line %d printed\n%swant\n%s", page, b.line, last, got, want)
			}
			continue
		}
		got, after, ok := strings.Cut(rest, fmt.Sprintf("%s%d\n", done, b.line))
		if !ok {
			t.Fatalf("%s:%d: the commands\n%sended with %v after they had printed\n%s", page, b.line, b.text, err, rest)
		}
		last, rest = b.line, after
		sections[b.line] = got
	}
	if err != nil || rest != "" {
		t.Errorf("%s: the shell ended with %v; behind the last block: %q", page, err, rest)
	}
}

// shell runs a script and returns what it prints on both outputs.
func shell(ctx context.Context, dir, script, bin string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", script)
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AUDITTRAIL_") })
	cmd.Env = append(env,
		"PATH="+filepath.Join(dir, "bin")+string(filepath.ListSeparator)+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"GOBIN="+filepath.Join(dir, "bin"), "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0", "GOWORK=off",
		"LC_ALL=C.UTF-8",
	)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

var spaces = regexp.MustCompile(`[ \t]+`)

// matches compares what was printed with what a guide shows. How wide the
// columns are does not matter: it depends on what is in them.
func matches(want, got string) bool {
	want, got = spaces.ReplaceAllString(want, " "), spaces.ReplaceAllString(got, " ")
	var pattern strings.Builder
	pattern.WriteString("^")
	for line := range strings.Lines(want) {
		line = strings.TrimSuffix(line, "\n")
		if line == "…" {
			pattern.WriteString(`(.*\n)*`)
			continue
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern.WriteString(strings.Join(parts, `.*`) + `\n`)
	}
	return regexp.MustCompile(pattern.String() + "$").MatchString(got)
}

// TestLinks follows the links of the documentation within this repository, and
// sees that the index has every page.
func TestLinks(t *testing.T) {
	index := filepath.Join("docs", "README.md")
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, deeper...), "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
	linked := map[string]bool{index: true}
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, anchor := m[1], strings.TrimPrefix(m[2], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			there, err := os.ReadFile(to)
			if info, serr := os.Stat(to); serr == nil && info.IsDir() {
				err = nil
			}
			if page == index {
				linked[to] = true
			}
			switch {
			case err != nil:
				t.Errorf("%s links to %s: %v", page, target, err)
			case anchor != "" && !strings.Contains("\n"+anchors(string(there)), "\n"+anchor+"\n"):
				t.Errorf("%s links to %s, which has no heading #%s", page, to, anchor)
			}
		}
	}
	for _, page := range pages {
		if strings.HasPrefix(page, "docs") && filepath.Dir(page) != filepath.Join("docs", "design") && !linked[page] {
			t.Errorf("%s does not link to %s", index, page)
		}
	}
}

// anchors returns the names of a page's headings in links, one a line.
func anchors(page string) string {
	var names strings.Builder
	fenced := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if heading := strings.TrimLeft(line, "#"); !fenced && heading != line {
			name := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			names.WriteString(strings.ReplaceAll(name, " ", "-") + "\n")
		}
	}
	return names.String()
}

// TestCommandsAreListed compares docs/cli.md with the existing commands.
func TestCommandsAreListed(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "-buildvcs=false", "./cmd/audittrail", "man", "--out", dir).CombinedOutput(); err != nil {
		t.Fatalf("write the manual pages: %v\n%s", err, out)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "audittrail-*.1"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, page := range pages {
		commands = append(commands, strings.TrimSuffix(filepath.Base(page), ".1"))
	}
	text, err := os.ReadFile("docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(audittrail [a-z -]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, strings.ReplaceAll(m[1], " ", "-"))
	}
	for _, name := range commands {
		parent := slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, name+"-") })
		shell := strings.HasPrefix(name, "audittrail-completion-")
		if !parent && !shell && !slices.Contains(listed, name) {
			t.Errorf("docs/cli.md does not list %s", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(commands, name) {
			t.Errorf("docs/cli.md lists %s, which there is not", name)
		}
	}
}
