package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a package exports without a user is read by everybody who comes to know it. For the
// cache and its rooms, which are there to be read, that is a rule. Tests and measurements
// count as users; they stand for those that a copy of the service will have.
func TestEveryExportedNameOfTheCacheHasACallerOutside(t *testing.T) {
	selected := map[string][]string{} // folders in which a name is used
	exported := map[string][]string{} // names that a folder exports
	for _, root := range []string{".", "../cmd", "../loadtest"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			dir := filepath.Dir(path)
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && !slices.Contains(selected[s.Sel.Name], dir) {
					selected[s.Sel.Name] = append(selected[s.Sel.Name], dir)
				}
				return true
			})
			if !strings.HasSuffix(path, "_test.go") {
				exported[dir] = append(exported[dir], exportedNames(file)...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(exported["cache"]) < 30 {
		t.Fatalf("found %q only", exported["cache"])
	}
	// Called by the language, or through an interface.
	byNature := map[string]bool{"Error": true, "String": true, "Encode": true, "Decode": true}
	trusted := []string{"Lookup", "LookupIDs", "Claim", "Replace"} // of remote.Tier
	for dir, names := range exported {
		if dir != "cache" && !slices.Contains(rooms, "internal/"+dir) {
			continue
		}
		for _, name := range names {
			outside := slices.ContainsFunc(selected[name], func(user string) bool { return user != dir })
			if !outside && !byNature[name] && !(dir == "cache" && slices.Contains(trusted, name)) {
				t.Errorf("nothing outside of internal/%s uses %s", dir, name)
			}
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
