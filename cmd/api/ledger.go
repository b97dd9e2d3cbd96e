package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"

	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/cache/remote"
)

// ledger is a place where keys are recorded. Whatever is on record stays: only what
// is new is ever entered.
type ledger struct {
	name   string
	remedy string // goes on after "then" or "if that is meant,"
	first  bool   // an empty one refuses nothing: it is that of a new installation

	recorded manifest.Manifest
	enter    func(ctx context.Context, keys manifest.Manifest) error
}

// manifestLedger is the committed file.
func manifestLedger(file string) (*ledger, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no manifest %s here: run this in the repository's root, or name it with --manifest", file)
	}
	if err != nil {
		return nil, err
	}
	recorded, err := manifest.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &ledger{
		name:     file,
		remedy:   "run\n      go run ./cmd/api keys check --migrate-cache-key\n  and commit " + file + ".",
		recorded: recorded,
		enter: func(_ context.Context, keys manifest.Manifest) error {
			return os.WriteFile(file, withKeys(string(text), recorded, keys), 0o644)
		},
	}, nil
}

// withKeys is the text of a manifest with more keys in it. What people have written
// on top stays.
func withKeys(text string, recorded, keys manifest.Manifest) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		b.WriteString(line)
	}
	all := maps.Clone(recorded)
	maps.Copy(all, keys)   // those that are in both are equal
	_, _ = all.WriteTo(&b) // a buffer takes everything
	return b.Bytes()
}

// redisLedger is the record in Redis, as it is now.
func redisLedger(ctx context.Context, l2 *remote.Redis) (*ledger, error) {
	registry := manifest.NewRegistry(l2)
	recorded, err := registry.Read(ctx)
	if err != nil {
		return nil, err
	}
	l := deployed(recorded)
	l.enter = func(ctx context.Context, keys manifest.Manifest) error {
		now, entered, err := registry.Register(ctx, keys, true)
		if err == nil && !entered { // somebody was faster
			err = deployed(now).refusal(keys, true)
		}
		return err
	}
	return l, nil
}

// deployed is a record as it was found in Redis.
func deployed(recorded manifest.Manifest) *ledger {
	return &ledger{
		name:     "the record in Redis",
		remedy:   "start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.",
		first:    true,
		recorded: recorded,
	}
}

// refusal is the error of keys that may not be deployed, or nil.
func (l *ledger) refusal(keys manifest.Manifest, migrate bool) error {
	d := keys.Diff(l.recorded)
	if migrate || l.first && len(l.recorded) == 0 {
		d.New = nil
	}
	if len(d.Changed) == 0 && len(d.New) == 0 {
		return nil
	}
	return &driftError{l.describe(keys, d)}
}

// settle records what is new, if it may, and says how things stand.
func (l *ledger) settle(ctx context.Context, out streams, keys manifest.Manifest, migrate bool) error {
	d := keys.Diff(l.recorded)
	for _, head := range d.Gone {
		fmt.Fprintf(out.Out, "%s is in %s and not in this program (any more). It stays there, so that nobody uses its number again.\n", head, l.name)
	}
	switch {
	case len(d.New) == 0:
		fmt.Fprintf(out.Out, "All %d keys are as in %s.\n", len(keys), l.name)
	case !migrate:
		fmt.Fprintf(out.Out, "Nothing is in %s yet: the first server that starts records its keys.\n", l.name)
	default:
		if err := l.enter(ctx, keys); err != nil {
			return err
		}
		fmt.Fprintf(out.Out, "Recorded in %s: %s.\n", l.name, strings.Join(d.New, ", "))
	}
	return nil
}
