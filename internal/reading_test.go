package internal_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readingOrder has the files of internal/cache from the outside in, as its package comment
// tells them. A call from a file to one above it makes a reader go back.
var readingOrder = strings.Fields(`
	doc.go cache.go
	fragment.go manual.go invalidate.go writethrough.go inspect.go
	page.go pageflight.go compose.go lastlook.go
	source.go refresh.go read.go lookup.go lease.go wait.go load.go answer.go early.go
	failures.go stats.go trust.go tally.go
	options.go lifecycle.go declared.go key.go policy.go codec.go`)

// The limits of what a reader must keep in mind. `go test ./internal -run Reads -v` prints
// the numbers.
const (
	mostMethods    = 20 // of Cache
	mostParameters = 4  // of a function, besides a context
	mostCallsUp    = 1  // between files of internal/cache: a lookup that serves an expired copy begins a refresh, which is a fill
)

// The cache is there to be read: few methods on one type, few parameters, and calls that go
// down.
func TestTheCacheReadsFromTheTopDown(t *testing.T) {
	files, info := checked(t, "cache")
	for name := range files {
		if !slices.Contains(readingOrder, name) {
			t.Errorf("internal/cache/%s has no place in readingOrder", name)
		}
	}
	methods, wide := 0, 0
	for _, dir := range append([]string{"cache"}, roomDirs()...) {
		its, _ := checked(t, dir)
		for name, file := range its {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if dir == "cache" && receiver(f) == "Cache" {
					methods++
				}
				if n := parameters(f); n > mostParameters {
					wide++
					t.Errorf("%s/%s: %s has %d parameters besides a context", dir, name, f.Name.Name, n)
				}
			}
		}
	}
	if methods > mostMethods {
		t.Errorf("Cache has %d methods of its own, more than %d", methods, mostMethods)
	}
	between, up := map[[2]string]bool{}, map[string]bool{}
	for name, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			called, ok := info.Uses[id].(*types.Func)
			if !ok || called.Pkg() == nil || called.Pkg().Name() != "cache" || called.Pkg().Path() != "cache" {
				return true
			}
			where := filepath.Base(fileSet.Position(called.Pos()).Filename)
			if where == name {
				return true
			}
			between[[2]string{name, called.FullName()}] = true
			if slices.Index(readingOrder, where) < slices.Index(readingOrder, name) {
				up[name+" calls "+called.Name()+" of "+where] = true
			}
			return true
		})
	}
	t.Logf("internal/cache: %d methods on Cache, %d functions with more than %d parameters, %d calls between files, %d of them up",
		methods, wide, mostParameters, len(between), len(up))
	for _, call := range slices.Sorted(keys(up)) {
		t.Log("up: ", call)
	}
	if len(up) > mostCallsUp {
		t.Errorf("%d calls go up, more than %d", len(up), mostCallsUp)
	}
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// roomDirs are the folders of the cache's rooms.
func roomDirs() (dirs []string) {
	for _, room := range rooms {
		dirs = append(dirs, strings.TrimPrefix(room, "internal/"))
	}
	return dirs
}

var fileSet = token.NewFileSet()

// checked parses the files of a folder, without tests, and resolves their names as far as
// that goes without what they import.
func checked(t *testing.T, dir string) (map[string]*ast.File, *types.Info) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	var list []*ast.File
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			file, err := parser.ParseFile(fileSet, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = file
			list = append(list, file)
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: nothing{}, Error: func(error) {}}
	_, _ = config.Check(filepath.Base(dir), fileSet, list, info) // what is imported is unknown
	return files, info
}

// nothing imports nothing.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

// receiver returns the name of the type that a function is a method of, or nothing.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// parameters counts a function's parameters besides a context.
func parameters(f *ast.FuncDecl) (n int) {
	for _, p := range f.Type.Params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
			continue
		}
		n += max(1, len(p.Names))
	}
	return n
}
