package service

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSessionHasOneWay holds that a session has nothing but its view, and a view
// nothing of the log but what the files of the view use.
func TestSessionHasOneWay(t *testing.T) {
	s := reflect.TypeFor[Session]()
	if s.NumField() != 1 || s.Field(0).Type != reflect.TypeFor[*view]() {
		t.Errorf("Session has fields beside its view")
	}
	free := []string{"RecordErrors"} // of the session itself
	v := reflect.TypeFor[*Session]()
	for m := range v.Methods() {
		if m.Type.NumIn() == 1 && !slices.Contains(free, m.Name) {
			t.Errorf("Session.%s takes no request: it cannot be refused", m.Name)
		}
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "view") || name == "service.go" {
			continue
		}
		checkWay(t, name)
	}
}

// Fields and methods that files other than view*.go do not use: the service of a view,
// and what yields records as the log has them, or before they are recorded.
var inside = []string{"svc", "get", "see", "all", "each", "hits", "restrictions"}

// Methods of a log that read content, or records one by one.
var readers = []string{"Administrative", "Disclose", "Find", "Follow", "Get", "Records"}

// checkWay holds that a file reaches the log by the view alone: it has no selector
// for the service of a view, and reads no record of a log that it was given.
func checkWay(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		x, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if slices.Contains(inside, x.Sel.Name) {
			t.Errorf("%v: .%s reaches the log, or a record that is not decided about, without the view: use a method that a file view*.go has for others", set.Position(n.Pos()), x.Sel.Name)
		}
		if of, ok := x.X.(*ast.Ident); ok && of.Name == "log" && slices.Contains(readers, x.Sel.Name) {
			t.Errorf("%v: log.%s reads records without the view", set.Position(n.Pos()), x.Sel.Name)
		}
		return true
	})
}
