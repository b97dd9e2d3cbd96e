package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/testenv"
)

// runs is what a command prints on both outputs, and what it exits with.
func runs(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	var b bytes.Buffer
	err := run(t.Context(), args, &b, &b)
	code = exitCode(t.Context(), err, &b)
	return b.String(), code
}

func ownKeys(t *testing.T) manifest.Manifest {
	t.Helper()
	keys, err := programKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// without is keys but for one.
func without(keys manifest.Manifest, head string) manifest.Manifest {
	keys = maps.Clone(keys)
	delete(keys, head)
	return keys
}

// with is keys and one more, or another one. It has the shape that is given, or of a key that
// is there.
func with(keys manifest.Manifest, head, dims string, shape ...string) manifest.Manifest {
	keys = maps.Clone(keys)
	c := keys[head]
	c.Dims, c.Shape = dims, cmp.Or(strings.Join(shape, ""), c.Shape)
	keys[head] = c
	return keys
}

// unshaped is keys as the version before has them, but for those that are named.
func unshaped(keys manifest.Manifest, but ...string) manifest.Manifest {
	keys = maps.Clone(keys)
	for head, c := range keys {
		if !slices.Contains(but, head) {
			keys[head] = manifest.Composition{Dims: c.Dims}
		}
	}
	return keys
}

// inRedis is a Redis of the test's own, with a registry in it.
type inRedis struct {
	*redis.Client
	flags       []string
	key, shapes string // of the registry
	tier        *remote.Redis
}

func withRegistry(t *testing.T, registered manifest.Manifest) *inRedis {
	t.Helper()
	r := registryIn(t, testenv.Redis(t), testenv.Prefix(t))
	r.put(t, registered)
	return r
}

func registryIn(t *testing.T, url, prefix string) *inRedis {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := remote.Open(url, remote.Options{Prefix: prefix, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := &inRedis{redis.NewClient(o), []string{"--redis-url=" + url, "--redis-prefix=" + prefix}, prefix + "keys", prefix + "shapes", tier}
	t.Cleanup(func() { tier.Close(); r.Close() })
	return r
}

func (r *inRedis) put(t *testing.T, registered manifest.Manifest) {
	t.Helper()
	pipe := r.TxPipeline()
	r.queue(t, pipe, registered)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *inRedis) queue(t *testing.T, pipe redis.Pipeliner, registered manifest.Manifest) {
	for head, c := range registered {
		pipe.HSet(t.Context(), r.key, head, c.Dims)
		if c.Shape != "" {
			pipe.HSet(t.Context(), r.shapes, head, c.Shape)
		}
	}
}

func (r *inRedis) want(t *testing.T, registered manifest.Manifest) {
	t.Helper()
	now, err := manifest.NewRegistry(r.tier).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(registered, now); diff != "" {
		t.Errorf("the registry in Redis (-want +got):\n%s", diff)
	}
}

func TestTheCommittedManifestHasEveryKey(t *testing.T) {
	if output, code := runs(t, "keys", "check", "--manifest=../../keys.manifest"); code != 0 {
		t.Errorf("exit code %d:\n%s", code, output)
	}
	printed, code := runs(t, "keys", "print")
	if parsed, err := manifest.Parse(printed); code != 0 || err != nil || !maps.Equal(parsed, ownKeys(t)) {
		t.Errorf("exit code %d, %v:\n%s", code, err, printed)
	}
	for head, c := range ownKeys(t) {
		if c.Shape == "" {
			t.Errorf("%s declares no type of its value: its shape could change unnoticed", head)
		}
	}
}

func TestKeysCheckFailsOrRegistersAsItSays(t *testing.T) {
	keys := ownKeys(t)
	older := without(keys, "products.one/1")
	other := with(keys, "products.one/1", "|id=|user=")
	more := with(keys, "products.one/9", "|sku=")
	reshaped := with(keys, "products.one/1", "|id=", strings.Replace(keys["products.one/1"].Shape, "stock:integer", "stock:string", 1))
	older1, shape1 := unshaped(keys, slices.DeleteFunc(slices.Collect(maps.Keys(keys)), func(h string) bool { return h == "products.one/1" })...), "the shape of products.one/1"
	none := manifest.Manifest{}
	all := fmt.Sprintf("All %d keys are as in ", len(keys))
	every := strings.Join(keys.Diff(none).New, ", ")
	const (
		redis   = "the registry in Redis"
		added   = "Registered in "
		gone    = "products.one/9 is in "
		goneEnd = " and not in this program. It stays there, so that its number is not used again.\n"
		isNew   = " is not in "
		changed = " differs from "
		refused = "api: the cache keys are not those registered\n"
		file    = "keys.manifest"
	)
	committing := "run\n      go run ./cmd/api keys check --migrate-cache-key\n  and commit keys.manifest.\n\n"
	starting := "start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.\n\n"
	newIn := func(place, remedy string) string {
		return "products.one/1" + isNew + place + ":\n\n    id\n\n  If that is meant, " + remedy
	}
	changedIn := func(place, remedy string) string {
		return "products.one/1" + changed + place + ":\n\n    id  -user\n\n  Give the key version 2 where it is declared, then " + remedy
	}

	reshapedIn := func(place, remedy string) string {
		return "products.one/1" + changed + place + ":\n\n    id\n    stock became integer, was string\n\n  Give the key version 2 where it is declared, then " + remedy
	}

	tests := []struct {
		name               string
		manifest, registry manifest.Manifest // nil: not looked at
		migrate            bool
		want               string
		code               int
		manifestAfter      manifest.Manifest // nil: as it was
		registryAfter      manifest.Manifest
	}{
		{"as in the manifest", keys, nil, false, all + file + ".\n", 0, nil, nil},
		{"new to the manifest", older, nil, false, newIn(file, committing) + refused, 1, nil, nil},
		{"new to the manifest, meant", older, nil, true, added + file + ": products.one/1.\n", 0, keys, nil},
		{"new to an empty manifest", without(none, ""), nil, false, "", 1, nil, nil},
		{"other than in the manifest", other, nil, false, changedIn(file, committing) + refused, 1, nil, nil},
		{"other than in the manifest, meant", other, nil, true, changedIn(file, committing) + refused, 1, nil, nil},
		{"in the manifest alone", more, nil, false, gone + file + goneEnd + all + file + ".\n", 0, nil, nil},
		{"in the manifest alone, beside a new one", without(more, "products.one/1"), nil, true,
			gone + file + goneEnd + added + file + ": products.one/1.\n", 0, more, nil},
		{"as in both", keys, keys, false, all + file + ".\n" + all + redis + ".\n", 0, nil, nil},
		{"a new installation", keys, none, false,
			all + file + ".\nNot yet in " + redis + ": " + every + ". The first server that starts registers it.\n", 0, nil, nil},
		{"a new installation, registered", keys, none, true,
			all + file + ".\n" + added + redis + ": " + every + ".\n", 0, nil, keys},
		{"new to Redis", keys, older, false, newIn(redis, starting) + refused, 1, nil, nil},
		{"new to Redis, meant", keys, older, true, all + file + ".\n" + added + redis + ": products.one/1.\n", 0, nil, keys},
		{"new to both, meant", older, older, true, added + file + ": products.one/1.\n" + added + redis + ": products.one/1.\n", 0, keys, keys},
		{"new to the manifest, other than in Redis", older, other, true, changedIn(redis, starting) + refused, 1, nil, nil},
		{"other than in the manifest, new to Redis", other, older, true, changedIn(file, committing) + refused, 1, nil, nil},
		{"other than in both", other, other, false, changedIn(file, committing) + changedIn(redis, starting) + refused, 1, nil, nil},
		{"new to Redis, and no manifest", nil, older, true, added + redis + ": products.one/1.\n", 0, nil, keys},
		{"another shape in the manifest", reshaped, nil, false, reshapedIn(file, committing) + refused, 1, nil, nil},
		{"another shape in the manifest, meant", reshaped, nil, true, reshapedIn(file, committing) + refused, 1, nil, nil},
		{"another shape in Redis, meant", older, reshaped, true, reshapedIn(redis, starting) + refused, 1, nil, nil},
		{"no shape in the manifest", older1, nil, false, file + " has no shape yet of products.one/1: " + committing + refused, 1, nil, nil},
		{"no shape in the manifest, meant", older1, nil, true, added + file + ": " + shape1 + ".\n", 0, keys, nil},
		{"no shape in Redis", keys, older1, false, all + file + ".\nNot yet in " + redis + ": " + shape1 + ". The first server that starts registers it.\n", 0, nil, nil},
		{"no shape in either, meant", older1, older1, true, added + file + ": " + shape1 + ".\n" + added + redis + ": " + shape1 + ".\n", 0, keys, keys},
		{"in Redis alone", nil, more, false, gone + redis + goneEnd + all + redis + ".\n", 0, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "keys.manifest")
			const remark = "# For people.\n"
			args := []string{"keys", "check", "--manifest="}
			if test.manifest != nil {
				args[2] += file
				if err := os.WriteFile(file, []byte(remark+test.manifest.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var deployed *inRedis
			if test.registry != nil {
				deployed = withRegistry(t, test.registry)
				args = append(append(args, "--deployed"), deployed.flags...)
			}
			if test.migrate {
				args = append(args, "--migrate-cache-key")
			}

			output, code := runs(t, args...)
			output = strings.ReplaceAll(output, file, "keys.manifest")
			if diff := gocmp.Diff(test.want, output); test.want != "" && diff != "" {
				t.Errorf("it prints (-want +got):\n%s", diff)
			}
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if want := test.manifest; want != nil {
				if test.manifestAfter != nil {
					want = test.manifestAfter
				}
				text, err := os.ReadFile(file)
				if diff := gocmp.Diff(remark+want.String(), string(text)); err != nil || diff != "" {
					t.Errorf("the file, %v (-want +got):\n%s", err, diff)
				}
			}
			if want := test.registry; want != nil {
				if test.registryAfter != nil {
					want = test.registryAfter
				}
				deployed.want(t, want)
			}
		})
	}
}

func TestKeysCheckSaysWhatItLacks(t *testing.T) {
	malformed := filepath.Join(t.TempDir(), "malformed")
	if err := os.WriteFile(malformed, []byte("feed.page/1|id=\n=======\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		code       int
	}{
		{"check", "api: there is no manifest keys.manifest here: run this in the repository's root, or name it with --manifest\n", exitFailed},
		{"check --migrate-cache-key", "api: there is no manifest keys.manifest here: run this in the repository's root, or name it with --manifest\n", exitFailed},
		{"check --manifest=" + malformed, "api: " + malformed + `: line 2: "=======" is not a key and its dimensions: name/1|a=|b=` + "\n", exitFailed},
		{"check --manifest=", "api: keys check: there is nothing to compare with: give --manifest, --deployed or both (see api keys --help)\n", exitUsage},
		{"check --deployed", "api: keys check: --redis-url (REDIS_URL) is missing: redis://host:6379/0 (see api keys --help)\n", exitUsage},
		{"prune", "api: keys prune: --redis-url (REDIS_URL) is missing: redis://host:6379/0 (see api keys --help)\n", exitUsage},
		{"prune --redis-url=http://h", "api: keys prune: --redis-url (REDIS_URL) must be a URL of the form redis://host:port/… (see api keys --help)\n", exitUsage},
		{"check --manifest= --deployed --redis-url=redis://127.0.0.1:1", "api: cache: registry of keys: dial tcp 127.0.0.1:1: connect: connection refused\n", exitFailed},
	} {
		output, code := runs(t, append([]string{"keys"}, strings.Fields(test.args)...)...)
		if diff := gocmp.Diff(test.want, output); diff != "" || code != test.code {
			t.Errorf("keys %s: exit code %d, want %d (-want +got):\n%s", test.args, code, test.code, diff)
		}
	}
}

func TestKeysPruneRemovesWhatThisProgramLacksAndOnlyWhenTold(t *testing.T) {
	keys := ownKeys(t)
	registered := with(with(keys, "products.one/8", "|sku=", "string"), "products.one/9", "")
	const list = "products.one/8|sku=\nproducts.one/9\n"
	const taken = " entries. A process that runs with one of these keys registers it again; one that starts with it is refused without --migrate-cache-key.\n"
	for _, test := range []struct {
		name, args string
		registered manifest.Manifest
		want       string
		code       int
		after      manifest.Manifest
		left       string // entries
	}{
		{"shown", "", registered, list + "api: nothing was done: --yes removes these keys from the registry and deletes their entries\n", exitFailed, registered, "178899"},
		{"all", "--yes", registered, list + "Removed, with 4" + taken, 0, keys, "17"},
		{"one", "--yes products.one/9", registered, "products.one/9\nRemoved, with 2" + taken, 0, without(registered, "products.one/9"), "1788"},
		{"an own one", "--yes products.one/9 products.one/1", registered, "api: products.one/1 is a key of this program\n", exitFailed, registered, "178899"},
		{"an unknown one", "--yes products.one/7", registered, "api: products.one/7 is not registered; what this program does not have is: products.one/8, products.one/9\n", exitFailed, registered, "178899"},
		{"nothing", "--yes", keys, "There is nothing to remove: this program has every key that is registered.\n", 0, keys, "178899"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := withRegistry(t, test.registered)
			entries := strings.TrimSuffix(r.key, "keys") + "e:{products.one/"
			for _, key := range []string{"1|id=1", "7", "8|sku=1", "8|sku=2", "9", "9|x=1"} {
				if err := r.Set(t.Context(), entries+key+"}", "", time.Minute).Err(); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"keys", "prune"}, r.flags...)
			output, code := runs(t, append(args, strings.Fields(test.args)...)...)
			if diff := gocmp.Diff(test.want, output); diff != "" || code != test.code {
				t.Errorf("exit code %d, want %d (-want +got):\n%s", code, test.code, diff)
			}
			r.want(t, test.after)
			left := ""
			for version := range 10 {
				for range must(r.Keys(t.Context(), entries+string(rune('0'+version))+"*").Result()) {
					left += string(rune('0' + version))
				}
			}
			if left != test.left {
				t.Errorf("entries of the versions %q are left, want %q", left, test.left)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
