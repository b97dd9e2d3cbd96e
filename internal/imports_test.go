// Package internal_test holds the rules about which package may know which.
// They are the design: a change that breaks one is a change of the design, and
// is made here and in docs/architecture.md first.
package internal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "example.com/communityfeed/"

// pkg is a package of this module as the rules see it. Tests are left out:
// they may import what they like.
type pkg struct {
	Path    string   // relative to the module: "internal/cache"
	Imports []string // relative to the module where they belong to it
	Calls   []string // qualified names from package os that it uses: "os.Getenv"
}

// floors are the house from bottom to top. A package imports from the floors
// below its own only; packages inside a folder named here live on its floor,
// and may import that folder.
var floors = [][]string{
	{"internal/cache/fence", "internal/cache/breaker"},
	{"internal/cache/local", "internal/cache/remote"},
	{"internal/cache/manifest"},
	{"migrations", "internal/cache", "internal/events", "internal/identity", "internal/postgres", "internal/problem", "internal/embedded", "internal/report", "internal/overlay"},
	{"internal/cachehttp", "internal/cache/cachetest", "internal/cache/mutants", "internal/testenv"},
	{"internal/feed", "internal/products", "internal/web", "internal/telemetry"},
	{"internal/server"},
	{"cmd/api", "loadtest/internal"},
}

// ground is what can be lifted out.
var ground = floors[3]

// rooms are those of the cache, below it.
var rooms = slices.Concat(floors[:3]...)

type rule struct {
	name   string
	reason string
	breach func(p pkg, imported string) bool // imported is one of p.Imports or p.Calls
}

var rules = []rule{
	{
		name:   "imports point down",
		reason: "whoever reads a package needs to read only what lies below it; a new package gets its place in floors",
		breach: func(p pkg, imported string) bool {
			return inModule(imported) && !inside(p.Path, imported) && floor(imported) >= floor(p.Path)
		},
	},
	{
		name:   "the ground floor is separate",
		reason: "cache, events, identity, postgres and problem can each be lifted out of this service and used alone",
		breach: func(p pkg, imported string) bool {
			return slices.Contains(ground, p.Path) && slices.Contains(ground, imported)
		},
	},
	{
		name:   "the rooms of the cache do not know the cache",
		reason: "one read is followed from the top down; what a room needs it is handed",
		breach: func(p pkg, imported string) bool {
			return slices.Contains(rooms, p.Path) && imported == "internal/cache"
		},
	},
	{
		name:   "Redis stays where L2 is",
		reason: "what says which copies count, and what holds them in the process, is read and tested without a server",
		breach: func(p pkg, imported string) bool {
			return strings.HasPrefix(imported, "github.com/redis/") && within(p.Path, "internal") &&
				!within(p.Path, "internal/cache/remote", "internal/cache/manifest", "internal/cache/cachetest", "internal/testenv", "internal/telemetry")
		},
	},
	{
		name:   "feed and products never meet",
		reason: "a domain that knows another one cannot be copied or removed; what they share belongs below them",
		breach: func(p pkg, imported string) bool {
			return inside(p.Path, "internal/feed") && inside(imported, "internal/products") ||
				inside(p.Path, "internal/products") && inside(imported, "internal/feed")
		},
	},
	{
		name:   "Echo stays where HTTP is",
		reason: "moving to the next major version of Echo must stay a day's work",
		breach: func(p pkg, imported string) bool {
			return strings.HasPrefix(imported, "github.com/labstack/") &&
				!within(p.Path, "internal/server", "internal/cachehttp", "internal/feed", "internal/products", "internal/web")
		},
	},
	{
		name:   "only cmd/api reads configuration",
		reason: "everything else is handed what it needs, so that a test can hand it something else (tests' own servers are chosen in testenv; embedded marks its child process; mutants and what is in loadtest are commands of their own)",
		breach: func(p pkg, imported string) bool {
			reads := slices.Contains([]string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "flag"}, imported) ||
				strings.HasPrefix(imported, "github.com/alecthomas/kong")
			return reads && !within(p.Path, "cmd/api", "internal/testenv", "internal/embedded", "internal/cache/mutants", "loadtest")
		},
	},
	{
		name:   "servers for tests stay out of the service",
		reason: "a container engine's client and stand-in servers are a lot of code that a service must not carry",
		breach: func(p pkg, imported string) bool {
			switch {
			case strings.HasPrefix(imported, "github.com/testcontainers/"):
				return !within(p.Path, "internal/testenv")
			case strings.HasPrefix(imported, "github.com/alicebob/miniredis/"):
				return !within(p.Path, "internal/embedded", "internal/cache/cachetest")
			case strings.HasPrefix(imported, "github.com/fergusstrange/embedded-postgres"):
				return !within(p.Path, "internal/embedded")
			case inside(imported, "internal/testenv"), inside(imported, "internal/cache/cachetest"), imported == "testing":
				return !within(p.Path, "internal/testenv", "internal/cache/cachetest")
			}
			return false
		},
	},
	{
		name:   "cmd/api alone runs servers of its own",
		reason: "embedded Postgres and Redis are for `api dev`, for tests and for measurements; a service is told where its servers are",
		breach: func(p pkg, imported string) bool {
			return inside(imported, "internal/embedded") && !within(p.Path, "cmd/api", "internal/testenv", "loadtest")
		},
	},
	{
		name:   "what measures stays outside of what is measured",
		reason: "loadtest sees the service as its clients do; it signs tokens, starts servers, and handles the cache as any program could that copies it. Reports and edited builds are for it, for mutants, and for tests",
		breach: func(p pkg, imported string) bool {
			return within(imported, "loadtest", "internal/report", "internal/overlay") && !within(p.Path, "loadtest", "internal/cache/mutants") ||
				within(p.Path, "loadtest") && inModule(imported) && !within(imported, "loadtest", "internal/report", "internal/overlay", "internal/identity", "internal/embedded", "internal/cache")
		},
	},
	{
		name:   "the peer is written by hand",
		reason: "loadtest/peer is what the service is compared with; with the service's own code in it, it would compare the service with itself. Who is asking is no part of the question",
		breach: func(p pkg, imported string) bool {
			return within(p.Path, "loadtest/peer") && inModule(imported) && !within(imported, "internal/identity")
		},
	},
}

func TestPackagesImportWhatTheRulesAllow(t *testing.T) {
	for _, breach := range check(load(t)) {
		t.Error(breach)
	}
}

// Each rule is shown a package that breaks it, and must be the one to say so.
func TestEachRuleNoticesItsBreach(t *testing.T) {
	for _, c := range []struct {
		rule string
		pkg  pkg
	}{
		{"imports point down", pkg{Path: "internal/cachehttp", Imports: []string{"internal/server"}}},
		{"imports point down", pkg{Path: "internal/web", Imports: []string{"internal/telemetry"}}},
		{"imports point down", pkg{Path: "internal/feed", Imports: []string{"internal/util"}}},
		{"the ground floor is separate", pkg{Path: "internal/events", Imports: []string{"internal/postgres"}}},
		{"imports point down", pkg{Path: "internal/cache/local", Imports: []string{"internal/cache/remote"}}},
		{"imports point down", pkg{Path: "internal/cache/fence", Imports: []string{"internal/cache/local"}}},
		{"the rooms of the cache do not know the cache", pkg{Path: "internal/cache/remote", Imports: []string{"internal/cache"}}},
		{"Redis stays where L2 is", pkg{Path: "internal/cache", Imports: []string{"github.com/redis/go-redis/v9"}}},
		{"feed and products never meet", pkg{Path: "internal/products", Imports: []string{"internal/feed"}}},
		{"Echo stays where HTTP is", pkg{Path: "internal/cache", Imports: []string{"github.com/labstack/echo/v4"}}},
		{"only cmd/api reads configuration", pkg{Path: "internal/server", Calls: []string{"os.LookupEnv"}}},
		{"only cmd/api reads configuration", pkg{Path: "internal/server", Imports: []string{"github.com/alecthomas/kong"}}},
		{"servers for tests stay out of the service", pkg{Path: "internal/server", Imports: []string{"github.com/alicebob/miniredis/v2"}}},
		{"servers for tests stay out of the service", pkg{Path: "cmd/api", Imports: []string{"internal/testenv"}}},
		{"cmd/api alone runs servers of its own", pkg{Path: "internal/server", Imports: []string{"internal/embedded"}}},
		{"what measures stays outside of what is measured", pkg{Path: "internal/feed", Imports: []string{"internal/report"}}},
		{"what measures stays outside of what is measured", pkg{Path: "internal/feed", Imports: []string{"loadtest/internal/rig"}}},
		{"what measures stays outside of what is measured", pkg{Path: "loadtest/storm", Imports: []string{"internal/feed"}}},
		{"the peer is written by hand", pkg{Path: "loadtest/peer", Imports: []string{"internal/cache"}}},
	} {
		breaches := strings.Join(check([]pkg{c.pkg}), "\n")
		if !strings.Contains(breaches, c.rule+":") {
			t.Errorf("%s with %q%q: rule %q is silent; said was %q", c.pkg.Path, c.pkg.Imports, c.pkg.Calls, c.rule, breaches)
		}
	}
}

func TestTheHouseAsDesignedBreaksNoRule(t *testing.T) {
	breaches := check([]pkg{
		{Path: "cmd/api", Imports: []string{"internal/server", "internal/embedded", "internal/feed", "migrations", "github.com/alecthomas/kong"}, Calls: []string{"os.Getenv"}},
		{Path: "cmd/api/internal", Imports: []string{"internal/server"}},
		{Path: "internal/server", Imports: []string{"internal/feed", "internal/products", "internal/telemetry", "github.com/labstack/echo/v4"}},
		{Path: "internal/feed", Imports: []string{"internal/cachehttp", "internal/cache", "internal/events", "internal/identity", "internal/postgres"}},
		{Path: "internal/cache/cachetest", Imports: []string{"internal/cache", "github.com/alicebob/miniredis/v2", "testing"}},
		{Path: "internal/testenv/which", Imports: []string{"internal/testenv"}},
		{Path: "internal/cache", Imports: []string{"internal/cache/remote", "internal/cache/local", "internal/cache/fence", "internal/cache/breaker", "internal/cache/manifest"}},
		{Path: "internal/cache/remote", Imports: []string{"internal/cache/fence", "internal/cache/breaker", "github.com/redis/go-redis/v9"}},
		{Path: "loadtest/compare", Imports: []string{"internal/identity", "internal/embedded", "loadtest/internal/rig", "github.com/alecthomas/kong"}},
		{Path: "loadtest/peer", Imports: []string{"internal/identity", "github.com/alecthomas/kong"}},
	})
	if diff := cmp.Diff([]string(nil), breaches); diff != "" {
		t.Error(diff)
	}
}

// check returns one line for each rule that each package breaks.
func check(pkgs []pkg) []string {
	var breaches []string
	for _, p := range pkgs {
		for _, r := range rules {
			for _, imported := range slices.Concat(p.Imports, p.Calls) {
				if r.breach(p, imported) {
					breaches = append(breaches, fmt.Sprintf("%s must not use %s: %s: %s", p.Path, imported, r.name, r.reason))
				}
			}
		}
	}
	return breaches
}

// floor returns the number of a package's floor, from 0; the nearest folder
// that floors names counts. A package without a place is above all others, and
// so may not be imported.
func floor(path string) int {
	best, floor := "", len(floors)
	for n, packages := range floors {
		for _, p := range packages {
			if inside(path, p) && len(p) > len(best) {
				best, floor = p, n
			}
		}
	}
	return floor
}

// inside tells whether a package is folder or lies in it.
func inside(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func within(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return inside(path, folder) })
}

func inModule(path string) bool {
	return within(path, "internal", "cmd", "migrations", "loadtest")
}

// load reads this module's packages as the go command sees them.
func load(t *testing.T) []pkg {
	t.Helper()
	// With a profile, what cmd/api uses is built once more, and listed under other names.
	cmd := exec.Command("go", "list", "-pgo", "off", "-json=ImportPath,Dir,Imports,GoFiles,IgnoredGoFiles", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []pkg
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath, Dir         string
			Imports                 []string
			GoFiles, IgnoredGoFiles []string
		}
		if err := list.Decode(&listed); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p := pkg{Path: strings.TrimPrefix(listed.ImportPath, module)}
		for _, imported := range listed.Imports {
			p.Imports = append(p.Imports, strings.TrimPrefix(imported, module))
		}
		for _, file := range slices.Concat(listed.GoFiles, listed.IgnoredGoFiles) {
			p.Calls = append(p.Calls, callsToOS(t, filepath.Join(listed.Dir, file))...)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages; is this the module's folder?", len(pkgs))
	}
	return pkgs
}

// callsToOS returns what a file uses of package os, under whatever name it
// imports it.
func callsToOS(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, imported := range parsed.Imports {
		if path, _ := strconv.Unquote(imported.Path.Value); path == "os" {
			name = "os"
			if imported.Name != nil {
				name = imported.Name.Name
			}
		}
	}
	var calls []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && name != "" && x.Name == name {
				calls = append(calls, "os."+s.Sel.Name)
			}
		}
		return true
	})
	return calls
}
