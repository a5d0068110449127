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

// besideService has the files of the commands that import the packages that decide
// who may do what, and what they want of them. The list may only get shorter: an
// entry that is not needed any more fails the test, too.
var besideService = map[string]string{
	"access.go":         "access: reads the scope and id of a grant from arguments, and names the states of grants",
	"access_check.go":   "access: reads the name of a permission from an argument",
	"access_history.go": "access: names the types of what access history lists",
	"gdpr.go":           "privacy: names the type of what is stored about a user, to print it",
	"permits.go":        "access: names the permissions of commands whose use cases package service does not have",
	"session.go":        "access: hands the roles of the configuration to package service",
}

// decisions are what decides about access, reads content, or records that it is read:
// package service has these, and commands do not.
var decisions = []string{
	"access.BeginExport", "access.BeginRead", "access.HasGrants", "access.LoggedReads", "access.Open", "access.RecordExport", "access.RecordRead",
	"privacy.Certify", "privacy.CheckFourEyes", "privacy.Open", "privacy.Redact",
	"log.Administrative", "log.AppendGovernance", "log.Disclose", "log.Erase", "log.Find", "log.Follow", "log.Get", "log.PlaceHold", "log.Records",
	"log.ReleaseHold", "query.New",
}

// TestCommandsUseTheService holds that commands reach what is in a log by package
// service: none decides about access, reads a record or records that one was read.
func TestCommandsUseTheService(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			switch imported, _ := strconv.Unquote(spec.Path.Value); imported {
			case "audittrail/access", "audittrail/privacy":
				if spec.Name != nil {
					t.Errorf("%s imports %s under another name, which hides what it uses", name, imported)
				}
				imports[name] += path.Base(imported) + ":"
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := x.X.(*ast.Ident); ok && slices.Contains(decisions, of.Name+"."+x.Sel.Name) {
				t.Errorf("%v: %s.%s: let package service do it", set.Position(n.Pos()), of.Name, x.Sel.Name)
			}
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		if of, why, _ := strings.Cut(besideService[name], " "); of != imports[name] || len(strings.Fields(why)) < 3 {
			t.Errorf("%s imports %s let package service do what it does, or say in besideService why not", name, imports[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(besideService)) {
		if imports[name] == "" {
			t.Errorf("%s imports none of it any more: take it off the list", name)
		}
	}
}
