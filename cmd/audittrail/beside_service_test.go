package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// besideService has, for each file of the commands that does what package service is
// for, what it does, and why it may. The list may only get shorter: an entry that
// nothing needs any more fails the test, too.
//
// To import package access or privacy is to decide who may do what, or what is
// restricted; log.Get and the like read records that no session has decided about;
// an engine finds them.
var besideService = map[string]map[string]string{}

// TestCommandsUseTheService holds that commands reach the content of a log by package
// service, but for those that are listed.
func TestCommandsUseTheService(t *testing.T) {
	t.Skip("while use cases move")
	found := map[string]map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = map[string]bool{}
		for _, spec := range file.Imports {
			switch imported, _ := strconv.Unquote(spec.Path.Value); imported {
			case "audittrail/access", "audittrail/privacy":
				found[name][path.Base(imported)] = true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := x.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch what := of.Name + "." + x.Sel.Name; what {
			case "log.Administrative", "log.Disclose", "log.Find", "log.Follow", "log.Get", "log.Records", "log.AppendGovernance",
				"e.engine", "query.New":
				found[name][what] = true
			}
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		for _, what := range slices.Sorted(maps.Keys(found[name])) {
			if besideService[name][what] == "" {
				t.Errorf("%s: %s: let package service do it", name, what)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(besideService)) {
		for _, what := range slices.Sorted(maps.Keys(besideService[name])) {
			if !found[name][what] {
				t.Errorf("%s does no %s any more: take it off the list", name, what)
			}
			if len(strings.Fields(besideService[name][what])) < 3 {
				t.Errorf("%s: %s: say why it may", name, what)
			}
		}
	}
}
