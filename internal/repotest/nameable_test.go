package repotest_test

import (
	"go/ast"
	"go/token"
	"path"
	"strconv"
	"strings"
	"testing"
)

// unnamed are the internal types that public declarations name all the same, and
// why. The list may only get shorter.
var unnamed = map[string]string{
	"vfs.FS":                "keyring and root share the file system of tests; importers leave it nil",
	"ringfile.DamagedError": "the ring's files find the damage, keyring reports it",
	"cjson.Decoder":         "record hands its decoder on to event, for speed",
}

// TestExportedTypesCanBeNamed finds what an importer sees and cannot name: exported
// declarations of public packages that are aliases of internal types, of which go doc
// shows neither fields nor methods, or whose types are internal or unexported.
func TestExportedTypesCanBeNamed(t *testing.T) {
	all := sources(t)
	declared := map[string]map[string]bool{} // names of types, by package
	for _, s := range all {
		if declared[s.dir] == nil {
			declared[s.dir] = map[string]bool{}
		}
		for _, spec := range typeSpecs(s.file) {
			declared[s.dir][spec.Name.Name] = true
		}
	}
	met := map[string]bool{} // of unnamed
	for _, s := range all {
		if s.test || strings.Contains("/"+s.dir+"/", "/internal/") || s.file.Name.Name == "main" {
			continue
		}
		n := naming{source: s, types: declared[s.dir], imports: map[string]string{}, met: met}
		for _, im := range s.file.Imports {
			name, _ := strconv.Unquote(im.Path.Value)
			if local := path.Base(name); im.Name == nil {
				n.imports[local] = name
			} else {
				n.imports[im.Name.Name] = name
			}
		}
		for _, d := range s.file.Decls {
			for _, what := range n.decl(d) {
				t.Errorf("%s: %s", s.name, what)
			}
		}
	}
	for name := range unnamed {
		if !met[name] {
			t.Errorf("%s is in the list of exceptions, and no public declaration names it", name)
		}
	}
}

func typeSpecs(f *ast.File) []*ast.TypeSpec {
	var specs []*ast.TypeSpec
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
			for _, s := range g.Specs {
				specs = append(specs, s.(*ast.TypeSpec))
			}
		}
	}
	return specs
}

// A naming looks for types of one file that an importer cannot name.
type naming struct {
	source
	types   map[string]bool // of the package
	imports map[string]string
	met     map[string]bool // exceptions that were found
}

func (n *naming) decl(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !exportedReceiver(d.Recv) {
			return nil
		}
		return n.hidden(d.Name.Name, d.Type)
	case *ast.GenDecl:
		var all []string
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					all = append(all, n.hidden(s.Name.Name, s.Type)...)
				}
			case *ast.ValueSpec:
				if s.Type != nil && s.Names[0].IsExported() {
					all = append(all, n.hidden(s.Names[0].Name, s.Type)...)
				}
			}
		}
		return all
	}
	return nil
}

func exportedReceiver(list *ast.FieldList) bool {
	found := false
	ast.Inspect(list.List[0].Type, func(x ast.Node) bool {
		if id, ok := x.(*ast.Ident); ok && !found {
			found = id.IsExported()
			return false
		}
		return true
	})
	return found
}

// hidden returns the types below a type that an importer cannot name.
func (n *naming) hidden(of string, typ ast.Node) []string {
	var all []string
	ast.Inspect(typ, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.StructType:
			for _, f := range x.Fields.List {
				exported := len(f.Names) == 0 && exportedReceiver(&ast.FieldList{List: []*ast.Field{f}})
				for _, name := range f.Names {
					exported = exported || name.IsExported()
				}
				if exported {
					all = append(all, n.hidden(of, f.Type)...)
				}
			}
			return false
		case *ast.InterfaceType:
			for _, f := range x.Methods.List {
				if len(f.Names) == 0 || f.Names[0].IsExported() {
					all = append(all, n.hidden(of, f.Type)...)
				}
			}
			return false
		case *ast.SelectorExpr:
			if pkg, ok := x.X.(*ast.Ident); ok && strings.Contains(n.imports[pkg.Name]+"/", "/internal/") {
				name := pkg.Name + "." + x.Sel.Name
				n.met[name] = true
				if unnamed[name] == "" {
					all = append(all, of+" names "+name+", which is internal")
				}
			}
			return false
		case *ast.Field: // the names of parameters are none of types
			all = append(all, n.hidden(of, x.Type)...)
			return false
		case *ast.Ident:
			if !x.IsExported() && n.types[x.Name] {
				all = append(all, of+" names "+x.Name+", which is not exported")
			}
		}
		return true
	})
	return all
}
