package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// with is keys and one more, or another one.
func with(keys manifest.Manifest, head, composition string) manifest.Manifest {
	keys = maps.Clone(keys)
	keys[head] = composition
	return keys
}

// inRedis is a Redis of the test's own, with a record in it.
type inRedis struct {
	*redis.Client
	flags []string
	key   string
	tier  *remote.Redis
}

func withRecord(t *testing.T, recorded manifest.Manifest) *inRedis {
	t.Helper()
	r := recordAt(t, testenv.Redis(t), testenv.Prefix(t))
	r.put(t, recorded)
	return r
}

func recordAt(t *testing.T, url, prefix string) *inRedis {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := remote.Open(url, remote.Options{Prefix: prefix, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := &inRedis{redis.NewClient(o), []string{"--redis-url=" + url, "--redis-prefix=" + prefix}, prefix + "keys", tier}
	t.Cleanup(func() { tier.Close(); r.Close() })
	return r
}

func (r *inRedis) put(t *testing.T, recorded manifest.Manifest) {
	t.Helper()
	for head, composition := range recorded {
		if err := r.HSet(t.Context(), r.key, head, composition).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *inRedis) want(t *testing.T, recorded manifest.Manifest) {
	t.Helper()
	now, err := manifest.NewRegistry(r.tier).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recorded, now); diff != "" {
		t.Errorf("the record in Redis (-want +got):\n%s", diff)
	}
}

func manifestText(t *testing.T, m manifest.Manifest) string {
	t.Helper()
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheCommittedManifestHasEveryKey(t *testing.T) {
	if output, code := runs(t, "keys", "check", "--manifest=../../keys.manifest"); code != 0 {
		t.Errorf("exit code %d:\n%s", code, output)
	}
	printed, code := runs(t, "keys", "print")
	if parsed, err := manifest.Parse(printed); code != 0 || err != nil || !maps.Equal(parsed, ownKeys(t)) {
		t.Errorf("exit code %d, %v:\n%s", code, err, printed)
	}
}

func TestKeysCheckFailsOrRecordsAsItSays(t *testing.T) {
	keys := ownKeys(t)
	older := without(keys, "products.one/1")
	other := with(keys, "products.one/1", "|id=|user=")
	more := with(keys, "products.one/9", "|sku=")
	none := manifest.Manifest{}
	all := fmt.Sprintf("All %d keys are as in ", len(keys))
	every := strings.Join(keys.Diff(none).New, ", ")
	const (
		redis   = "the record in Redis"
		added   = "Recorded in "
		gone    = "products.one/9 is in "
		goneEnd = " and not in this program (any more). It stays there, so that nobody uses its number again.\n"
		isNew   = " is not in "
		changed = " has other dimensions than in "
		refused = "api: the cache keys are not those on record\n"
		file    = "keys.manifest"
	)
	committing := "run\n      go run ./cmd/api keys check --migrate-cache-key\n  and commit keys.manifest.\n\n"
	starting := "start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.\n\n"
	newIn := func(place, remedy string) string {
		return "products.one/1" + isNew + place + ":\n\n    id\n\n  If that is meant, " + remedy
	}
	changedIn := func(place, remedy string) string {
		return "products.one/1" + changed + place + ":\n\n    id  -user\n\n  user went. Give the key version 2 where it is declared, then " + remedy
	}

	tests := []struct {
		name             string
		manifest, record manifest.Manifest // nil: not looked at
		migrate          bool
		want             string
		code             int
		manifestAfter    manifest.Manifest // nil: as it was
		recordAfter      manifest.Manifest
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
			all + file + ".\nNothing is in " + redis + " yet: the first server that starts records its keys.\n", 0, nil, nil},
		{"a new installation, recorded", keys, none, true,
			all + file + ".\n" + added + redis + ": " + every + ".\n", 0, nil, keys},
		{"new to Redis", keys, older, false, newIn(redis, starting) + refused, 1, nil, nil},
		{"new to Redis, meant", keys, older, true, all + file + ".\n" + added + redis + ": products.one/1.\n", 0, nil, keys},
		{"new to both, meant", older, older, true, added + file + ": products.one/1.\n" + added + redis + ": products.one/1.\n", 0, keys, keys},
		{"new to the manifest, other than in Redis", older, other, true, changedIn(redis, starting) + refused, 1, nil, nil},
		{"other than in the manifest, new to Redis", other, older, true, changedIn(file, committing) + refused, 1, nil, nil},
		{"other than in both", other, other, false, changedIn(file, committing) + changedIn(redis, starting) + refused, 1, nil, nil},
		{"new to Redis, and no manifest", nil, older, true, added + redis + ": products.one/1.\n", 0, nil, keys},
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
				if err := os.WriteFile(file, []byte(remark+manifestText(t, test.manifest)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var deployed *inRedis
			if test.record != nil {
				deployed = withRecord(t, test.record)
				args = append(append(args, "--deployed"), deployed.flags...)
			}
			if test.migrate {
				args = append(args, "--migrate-cache-key")
			}

			output, code := runs(t, args...)
			output = strings.ReplaceAll(output, file, "keys.manifest")
			if diff := cmp.Diff(test.want, output); test.want != "" && diff != "" {
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
				if diff := cmp.Diff(remark+manifestText(t, want), string(text)); err != nil || diff != "" {
					t.Errorf("the file, %v (-want +got):\n%s", err, diff)
				}
			}
			if want := test.record; want != nil {
				if test.recordAfter != nil {
					want = test.recordAfter
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
		if diff := cmp.Diff(test.want, output); diff != "" || code != test.code {
			t.Errorf("keys %s: exit code %d, want %d (-want +got):\n%s", test.args, code, test.code, diff)
		}
	}
}

func TestKeysPruneTakesOutWhatThisProgramLacksAndOnlyWhenTold(t *testing.T) {
	keys := ownKeys(t)
	record := with(with(keys, "products.one/8", "|sku="), "products.one/9", "")
	const list = "products.one/8|sku=\nproducts.one/9\n"
	const taken = " entries. A process that runs with one of these keys enters it again; one that starts with it is refused without --migrate-cache-key.\n"
	for _, test := range []struct {
		name, args string
		record     manifest.Manifest
		want       string
		code       int
		after      manifest.Manifest
		left       string // entries
	}{
		{"shown", "", record, list + "api: nothing was done: --yes takes these keys out of the record and deletes their entries\n", exitFailed, record, "178899"},
		{"all", "--yes", record, list + "Taken out, with 4" + taken, 0, keys, "17"},
		{"one", "--yes products.one/9", record, "products.one/9\nTaken out, with 2" + taken, 0, without(record, "products.one/9"), "1788"},
		{"an own one", "--yes products.one/9 products.one/1", record, "api: products.one/1 is a key of this program\n", exitFailed, record, "178899"},
		{"an unknown one", "--yes products.one/7", record, "api: products.one/7 is not on record; what this program does not have is: products.one/8, products.one/9\n", exitFailed, record, "178899"},
		{"nothing", "--yes", keys, "There is nothing to take out: this program has every key on record.\n", 0, keys, "178899"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := withRecord(t, test.record)
			entries := strings.TrimSuffix(r.key, "keys") + "e:{products.one/"
			for _, key := range []string{"1|id=1", "7", "8|sku=1", "8|sku=2", "9", "9|x=1"} {
				if err := r.Set(t.Context(), entries+key+"}", "", time.Minute).Err(); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"keys", "prune"}, r.flags...)
			output, code := runs(t, append(args, strings.Fields(test.args)...)...)
			if diff := cmp.Diff(test.want, output); diff != "" || code != test.code {
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
