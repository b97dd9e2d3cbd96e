package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// What a package shows and nobody uses is read by everybody who comes to know it.
// For the cache, which is there to be read, that is a rule. Tests and measurements
// count as users; they stand for those that a copy of the service will have.
func TestEveryExportedNameOfTheCacheHasACallerOutside(t *testing.T) {
	const cache = "cache"
	selected := map[string]bool{}
	var exported []string
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			switch {
			case filepath.Dir(path) != cache:
				ast.Inspect(file, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						selected[s.Sel.Name] = true
					}
					return true
				})
			case !strings.HasSuffix(path, "_test.go"):
				exported = append(exported, exportedNames(file)...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(exported) < 30 {
		t.Fatalf("found %q only", exported)
	}
	// Called by the language, or through an interface of the package itself.
	byNature := map[string]bool{"Error": true, "String": true, "Encode": true, "Decode": true}
	for _, name := range exported {
		if !selected[name] && !byNature[name] {
			t.Errorf("nobody outside of internal/cache uses %s", name)
		}
	}
}

// exportedNames are the functions, methods, variables and constants that a file
// exports. Types are left out: who uses a function need not name what it returns.
func exportedNames(file *ast.File) (names []string) {
	add := func(n *ast.Ident) {
		if n.IsExported() {
			names = append(names, n.Name)
		}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			add(d.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok {
					for _, n := range v.Names {
						add(n)
					}
				}
			}
		}
	}
	return names
}
