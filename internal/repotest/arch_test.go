package repotest_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A room lists the packages that one package may import.
type room struct {
	ours   []string // our packages, as paths in this module; "." is the root
	theirs []string // modules of others, besides the standard library and golang.org/x
	tests  []string // our packages that only tests import, to make what they need
}

// rooms holds every permitted import edge of the module. Imports point down.
// A new edge is a new word here, for somebody to review.
var rooms = map[string]room{
	"internal/canonical":   {},
	"internal/cjson":       {},
	"finding":              {},
	"internal/filekind":    {},
	"internal/graphlayout": {},
	"internal/vfs":         {},
	"tlog":                 {ours: []string{"internal/canonical"}, theirs: []string{"filippo.io/torchwood"}},
	"event":                {ours: []string{"internal/canonical", "internal/cjson"}},
	"record": {
		ours:   []string{"event", "internal/canonical", "internal/cjson"},
		theirs: []string{"github.com/klauspost/compress"},
	},
	"keyring/internal/ringfile": {ours: []string{"record", "internal/canonical", "internal/vfs"}},
	"keyring": {
		ours:   []string{"record", "internal/vfs", "keyring/internal/ringfile"},
		theirs: []string{"filippo.io/age"},
	},
	"internal/tree": {
		ours:   []string{"tlog", "internal/vfs"},
		theirs: []string{"filippo.io/torchwood"},
	},
	"internal/tombstone": {ours: []string{"event", "record", "internal/canonical"}},
	"internal/index/text": {
		ours:   []string{"event"},
		theirs: []string{"github.com/clipperhouse/uax29"},
	},
	"internal/segment": {ours: []string{"event", "record", "internal/tombstone", "internal/vfs"}},
	"internal/archive": {
		ours:   []string{"event", "record", "tlog", "internal/canonical", "internal/tombstone", "internal/segment", "internal/vfs"},
		theirs: []string{"github.com/klauspost/compress"},
	},
	"internal/shown":        {},
	"internal/verify/lines": {ours: []string{"internal/vfs"}},
	"internal/verify": {ours: []string{
		"finding", "keyring", "record", "tlog", "internal/verify/lines", "internal/tombstone", "internal/tree", "internal/vfs",
	}},
	"internal/trust":  {ours: []string{"finding", "tlog", "keyring", "internal/verify", "internal/tree", "internal/vfs"}},
	"governance":      {ours: []string{"event", "record", "internal/canonical", "internal/cjson"}},
	"internal/escrow": {ours: []string{"record", "internal/vfs"}},
	"internal/signed": {
		ours:  []string{"record", "tlog", "keyring", "internal/segment", "internal/tree", "internal/vfs", "internal/trust"},
		tests: []string{".", "event"}, // to make a log
	},
	"internal/admission": {
		ours: []string{
			"event", "finding", "record", "tlog", "keyring", "internal/verify", "governance", "internal/segment",
			"internal/vfs", "internal/trust",
		},
		tests: []string{"."}, // to make a log
	},
	".": {
		ours: []string{
			"event", "finding", "record", "tlog", "keyring",
			"internal/vfs", "internal/segment", "internal/tree", "internal/verify",
			"governance", "internal/admission", "internal/archive", "internal/escrow", "internal/index", "internal/tombstone", "internal/signed",
			"internal/trust",
		},
		theirs: []string{"filippo.io/age"},
		tests:  []string{"access", "lineage", "privacy", "query", "retention", "service"}, // to use them on a log whose disk fails, or that was altered
	},
	"internal/index/block/lru":   {},
	"internal/index/block/terms": {},
	"internal/index/block": {
		ours:   []string{"event", "keyring", "record", "internal/canonical", "internal/index/block/lru", "internal/index/block/terms", "internal/index/text"},
		theirs: []string{"github.com/RoaringBitmap/roaring", "github.com/klauspost/compress"},
	},
	"internal/index": {
		ours:   []string{"keyring", "record", "internal/canonical", "internal/index/block", "internal/index/text", "internal/vfs"},
		theirs: []string{"github.com/RoaringBitmap/roaring"},
		tests:  []string{".", "event"}, // a log that has it
	},
	"internal/logtest":  {ours: []string{".", "event"}},
	"internal/repotest": {tests: []string{".", "event"}},
	"internal/loadgen":  {ours: []string{"event"}},
	"retention": {
		ours:   []string{".", "event", "governance", "record"},
		theirs: []string{"github.com/BurntSushi/toml"},
	},
	"query/internal/aggregate":  {},
	"query/internal/timebucket": {},
	"query/internal/filter":     {theirs: []string{"github.com/google/cel-go"}},
	"query/internal/search": {
		ours:   []string{"event", "internal/index/text"},
		theirs: []string{"github.com/RoaringBitmap/roaring"},
		tests:  []string{"internal/index/block", "record"},
	},
	"query/internal/predicate": {
		ours: []string{
			"event", "record", "internal/index", "internal/index/block", "query/internal/filter", "query/internal/search",
		},
		theirs: []string{"github.com/RoaringBitmap/roaring"},
	},
	"query": {
		ours: []string{
			".", "event", "record", "internal/index", "internal/index/block", "internal/index/text",
			"query/internal/timebucket", "query/internal/aggregate", "query/internal/filter", "query/internal/predicate", "query/internal/search",
		},
		tests: []string{"governance"}, // to place a hold
	},
	"report": {ours: []string{
		".", "access", "event", "finding", "governance", "lineage", "lineage/usage", "query", "record", "retention", "tlog", "report/document", "report/internal/render", "report/rules",
	}, theirs: []string{"github.com/BurntSushi/toml"}},
	"report/rules":     {theirs: []string{"github.com/BurntSushi/toml"}},
	"lineage":          {ours: []string{".", "event", "record", "internal/canonical", "internal/cjson"}},
	"lineage/artifact": {},
	"lineage/exchange": {
		ours: []string{
			"lineage", "lineage/exchange/croissant", "lineage/exchange/cyclonedx", "lineage/exchange/document", "lineage/exchange/intoto",
			"lineage/exchange/mlflow", "lineage/exchange/openlineage", "lineage/exchange/prov",
		},
		theirs: []string{"github.com/CycloneDX/cyclonedx-go", "github.com/in-toto/attestation", "google.golang.org/protobuf"}, // in tests
	},
	"lineage/exchange/croissant": {ours: []string{"lineage", "lineage/exchange/document"}},
	"lineage/exchange/mlflow":    {ours: []string{"lineage", "lineage/exchange/document"}},
	"lineage/exchange/cyclonedx": {
		ours:   []string{"lineage", "lineage/exchange/document"},
		theirs: []string{"github.com/CycloneDX/cyclonedx-go"},
	},
	"lineage/exchange/document": {ours: []string{"event", "lineage", "internal/cjson", "internal/filekind"}},
	"lineage/exchange/prov":     {ours: []string{"lineage", "lineage/exchange/document"}},
	"lineage/exchange/intoto": {
		ours:   []string{"lineage", "lineage/exchange/document"},
		theirs: []string{"github.com/in-toto/attestation", "google.golang.org/protobuf"},
	},
	"lineage/exchange/openlineage": {ours: []string{"lineage", "lineage/exchange/document"}},
	"lineage/usage":                {ours: []string{"event", "lineage", "query", "record"}, tests: []string{"."}},
	"lineage/drawing": {
		ours:   []string{"lineage", "internal/graphlayout", "internal/shown", "lineage/drawing/internal/railgraph"},
		theirs: []string{"github.com/rivo/uniseg"},
		tests:  []string{".", "event", "internal/cjson", "record"},
	},
	"lineage/drawing/internal/railgraph": {},
	"report/document":                    {ours: []string{"event", "internal/canonical", "internal/cjson", "tlog"}},
	"report/internal/chart":              {ours: []string{"internal/graphlayout", "report/document"}},
	"report/internal/render": {
		ours:   []string{"report/document", "report/internal/chart", "internal/shown"},
		theirs: []string{"codeberg.org/go-pdf/fpdf", "github.com/go-fonts/liberation"},
		tests:  []string{".", "event", "governance", "lineage", "query", "report", "report/rules", "retention"}, // a whole log's report
	},
	"internal/config": {ours: []string{"internal/vfs"}, theirs: []string{"github.com/BurntSushi/toml"}},
	"certificate": {
		ours:  []string{"event", "record", "tlog", "governance", "internal/canonical", "internal/cjson"},
		tests: []string{"."}, // a log that certifies
	},
	"privacy": {ours: []string{".", "access", "event", "governance", "record", "query", "certificate"}},
	"access":  {ours: []string{".", "event", "governance", "record", "internal/canonical", "internal/vfs"}},
	"service": {ours: []string{
		".", "access", "certificate", "event", "governance", "lineage", "lineage/usage", "privacy", "query", "record", "report", "retention", "tlog",
	}},
	"cmd/audittrail/internal/bench": {
		ours: []string{".", "event", "internal/index", "internal/loadgen", "internal/shown", "internal/vfs", "query", "cmd/audittrail/internal/display"},
	},
	"cmd/audittrail/internal/check": {
		ours:  []string{"record", "tlog", "cmd/audittrail/internal/display"},
		tests: []string{".", "event"}, // to make a log
	},
	"cmd/audittrail/internal/demo":    {ours: []string{".", "event", "record", "internal/shown", "cmd/audittrail/internal/check", "cmd/audittrail/internal/display"}},
	"cmd/audittrail/internal/display": {ours: []string{"internal/shown"}},
	"cmd/audittrail/internal/fileid":  {},
	"cmd/audittrail/internal/foreign": {ours: []string{"event", "internal/cjson"}},
	"cmd/audittrail/internal/ingest":  {ours: []string{".", "event", "internal/cjson", "internal/filekind", "cmd/audittrail/internal/foreign"}},
	"cmd/audittrail/internal/table": {
		ours:   []string{"event", "record"},
		theirs: []string{"github.com/parquet-go/parquet-go"},
		tests:  []string{"."},
	},
	"cmd/audittrail": {
		ours: []string{
			".", "access", "privacy", "query", "certificate", "event", "finding", "governance", "record", "tlog", "keyring", "retention", "internal/config", "internal/vfs",
			"internal/filekind", "internal/index", "internal/shown",
			"report", "lineage", "lineage/artifact", "lineage/usage", "lineage/drawing",
			"lineage/exchange", "service",
			"cmd/audittrail/internal/bench", "cmd/audittrail/internal/check", "cmd/audittrail/internal/demo", "cmd/audittrail/internal/display",
			"cmd/audittrail/internal/fileid", "cmd/audittrail/internal/foreign", "cmd/audittrail/internal/ingest", "cmd/audittrail/internal/table",
		},
		tests: []string{"internal/tombstone"}, // to forge one
		theirs: []string{
			"filippo.io/age", "github.com/schollz/progressbar/v3", "github.com/spf13/cobra", "github.com/spf13/pflag",
		},
	},
}

// forTests are modules, and a package of ours, that tests may import anywhere.
var forTests = []string{"audittrail/internal/logtest", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal"}

// Sizes, in lines and without tests, beyond which a function or a file is worth
// the question whether it is two.
const (
	functionSize = 60
	fileSize     = 500
)

// A source is one parsed Go file of this module.
type source struct {
	dir  string // slash-separated, "." for the root
	name string // path from the root
	test bool
	file *ast.File
	set  *token.FileSet
}

func (s source) lines() int { return s.set.File(s.file.FileStart).LineCount() }

// sources parses every Go file of the module, whatever system it is for.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			other := err == nil && name != "." // a module of its own
			if other || d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path.Dir(name), name, strings.HasSuffix(name, "_test.go"), file, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestImportsPointDown compares every import with the table.
func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		r, ok := rooms[s.dir]
		if !ok {
			t.Errorf("%s: package %q is not in the table of permitted imports", s.name, s.dir)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if !r.permits(s, imported) {
				t.Errorf("%s imports %q, which the table does not permit", s.name, imported)
			}
		}
	}
}

func (r room) permits(s source, imported string) bool {
	within := func(module string) bool {
		return imported == module || strings.HasPrefix(imported, module+"/")
	}
	if s.test && slices.ContainsFunc(forTests, within) {
		return true
	}
	if imported == "audittrail" || strings.HasPrefix(imported, "audittrail/") {
		dir := cmp.Or(strings.TrimPrefix(strings.TrimPrefix(imported, "audittrail"), "/"), ".")
		return slices.Contains(r.ours, dir) || s.test && (dir == s.dir || slices.Contains(r.tests, dir))
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") || first == "golang.org" {
		return true
	}
	return slices.ContainsFunc(r.theirs, within)
}

// TestSizes lists the functions and files that are long, with go test -v. It
// fails none: a package split to stay under a number has its wall in the wrong
// place.
func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.lines() > fileSize {
			t.Logf("%s has %d lines", s.name, s.lines())
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if lines := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; lines > functionSize {
					t.Logf("%s: %s has %d lines", s.name, f.Name.Name, lines)
				}
			}
		}
	}
}

// TestDependenciesAreExplained holds the direct requirements of go.mod
// against docs/dependencies.md, where each has a section of its own.
func TestDependenciesAreExplained(t *testing.T) {
	explained := match(t, filepath.Join("docs", "dependencies.md"), `(?m)^### ([a-z0-9.]+/\S+)$`)
	required := match(t, "go.mod", `(?m)^\t(\S+) v\S+$`) // indirect ones have a comment
	known := match(t, "go.mod", `(?m)^\t(\S+) v\S+`)
	if len(required) == 0 {
		t.Fatal("found no requirement in go.mod")
	}
	for _, m := range required {
		if !slices.Contains(explained, m) {
			t.Errorf("go.mod requires %s, which docs/dependencies.md does not explain", m)
		}
	}
	for _, m := range explained {
		if !slices.Contains(known, m) {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", m)
		}
	}
}

// match returns the first group of every match of pattern in the named file.
func match(t *testing.T, name, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		found = append(found, string(m[1]))
	}
	return found
}
