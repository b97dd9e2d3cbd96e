package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/telemetry"
)

type keysCmd struct {
	Print keysPrint `cmd:"" help:"Write this program's manifest: of each key its name/version and dimensions, and the shape of what is under it."`
	Check keysCheck `cmd:"" help:"Compare this program's keys with the committed manifest, and with those deployed."`
	Prune keysPrune `cmd:"" help:"Remove keys that nothing runs with any more from the registry in Redis, and their entries with them."`
}

// programKeys are the keys of this program. It mounts all routes on connections that
// do not exist, and asks the cache what was declared.
func programKeys() (manifest.Manifest, error) {
	pages := cache.New(nil, cache.Options{})
	defer pages.Close()
	_, _, _, err := assemble(parts{
		log: slog.New(slog.DiscardHandler), secret: developmentSecret,
		pages: pages, metrics: telemetry.NewMetrics(),
	})
	return pages.Manifest(), err
}

type keysPrint struct{}

// Run prints the manifest.
func (keysPrint) Run(out streams) error {
	keys, err := programKeys()
	if err == nil {
		fmt.Fprint(out.Out, keys)
	}
	return err
}

// registryAt says where the registry in Redis is.
type registryAt struct {
	RedisURL    string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"Where Redis is: redis://host:6379/0."`
	RedisPrefix string `env:"REDIS_PREFIX" default:"cf:" placeholder:"TEXT" help:"Begins every key in Redis."`
}

// Validate is called by the commands.
func (r *registryAt) Validate() error {
	if r.RedisURL == "" {
		return errors.New("--redis-url (REDIS_URL) is missing: redis://host:6379/0")
	}
	return checkURL("--redis-url (REDIS_URL)", r.RedisURL, "redis", "rediss")
}

// open connects with more patience than a server has: nobody's request waits.
func (r *registryAt) open() (*remote.Redis, error) {
	return remote.Open(r.RedisURL, remote.Options{Prefix: r.RedisPrefix, Timeout: 5 * time.Second})
}

type keysCheck struct {
	Manifest string `default:"keys.manifest" placeholder:"FILE" help:"The committed manifest. With --deployed, an empty name leaves it out."`
	Deployed bool   `help:"Compare also with the registry in Redis of all keys that were ever deployed."`
	Migrate  bool   `name:"migrate-cache-key" help:"Register what is new: in the manifest and, with --deployed, in Redis. A key that has changed stays refused, and then nothing is written."`
	registryAt
}

// Help is shown by kong.
func (*keysCheck) Help() string {
	return `A key that is registered with other dimensions or another shape fails, and so does one that is not registered; the diff says what to do. Keys that are registered and not in this program are told and no failure: a number that was used once is not given out again.

Without --migrate-cache-key nothing is written. Run it where the manifest is, in the repository's root; api keys print >keys.manifest begins a new one.`
}

// Validate is called by kong.
func (c *keysCheck) Validate() error {
	switch {
	case c.Deployed:
		return c.registryAt.Validate()
	case c.Manifest == "":
		return errors.New("there is nothing to compare with: give --manifest, --deployed or both")
	}
	return nil
}

// Run looks at every place before it writes in any.
func (c *keysCheck) Run(ctx context.Context, out streams) error {
	keys, err := programKeys()
	if err != nil {
		return err
	}
	var places []manifest.Place
	if c.Manifest != "" {
		places = append(places, manifest.NewFile(c.Manifest))
	}
	if c.Deployed {
		l2, err := c.open()
		if err != nil {
			return err
		}
		defer l2.Close()
		places = append(places, manifest.NewRegistry(l2))
	}
	var refused manifest.DiffError
	registered := make([]manifest.Manifest, len(places))
	for i, p := range places {
		if registered[i], err = p.Read(ctx); err != nil {
			return err
		}
		if diff, ok := errors.AsType[*manifest.DiffError](p.Refuse(keys, registered[i], c.Migrate)); ok {
			refused.Diff += diff.Diff
		}
	}
	if refused.Diff != "" {
		return &refused
	}
	for i, p := range places {
		d := keys.Diff(registered[i])
		if c.Migrate && len(d.New)+len(d.Unshaped) > 0 {
			if _, err := p.Register(ctx, keys, true); err != nil {
				return err
			}
		}
		printDiff(out, keys, d, p, c.Migrate)
	}
	return nil
}

// printDiff says how a place stands that refuses no key.
func printDiff(out streams, keys manifest.Manifest, d manifest.Diff, p manifest.Place, registered bool) {
	for _, head := range d.Gone {
		fmt.Fprintf(out.Out, "%s is in %s and not in this program. It stays there, so that its number is not used again.\n", head, p)
	}
	missing := slices.Clone(d.New)
	if len(d.Unshaped) > 0 {
		missing = append(missing, "the shape of "+strings.Join(d.Unshaped, ", "))
	}
	switch {
	case len(missing) == 0:
		fmt.Fprintf(out.Out, "All %d keys are as in %s.\n", len(keys), p)
	case registered:
		fmt.Fprintf(out.Out, "Registered in %s: %s.\n", p, strings.Join(missing, ", "))
	default:
		fmt.Fprintf(out.Out, "Not yet in %s: %s. The first server that starts registers it.\n", p, strings.Join(missing, ", "))
	}
}

type keysPrune struct {
	Keys []string `arg:"" optional:"" name:"name/version" help:"Which keys to remove; without any, all that this program does not have."`
	Yes  bool     `help:"Do it. Without this, it is only shown what would be done."`
	registryAt
}

// Help is shown by kong.
func (*keysPrune) Help() string {
	return `Run it with the newest program that is deployed, once nothing is to be rolled back any more. It removes nothing that this program has itself.

A process that still runs with a key that was removed registers it again within seconds, and has lost nothing but its entries in Redis. One that starts with it later is refused as any new key is, until it is given --migrate-cache-key.`
}

// Run shows what would go, and with --yes lets it go.
func (c *keysPrune) Run(ctx context.Context, out streams) error {
	keys, err := programKeys()
	if err != nil {
		return err
	}
	l2, err := c.open()
	if err != nil {
		return err
	}
	defer l2.Close()
	registry := manifest.NewRegistry(l2)
	registered, err := registry.Read(ctx)
	if err != nil {
		return err
	}
	going := keys.Diff(registered).Gone
	for _, head := range c.Keys {
		switch _, own := keys[head]; {
		case own:
			return fmt.Errorf("%s is a key of this program", head)
		case !slices.Contains(going, head):
			return fmt.Errorf("%s is not registered; what this program does not have is: %s", head, strings.Join(going, ", "))
		}
	}
	if len(c.Keys) > 0 {
		going = c.Keys
	}
	if len(going) == 0 {
		fmt.Fprintln(out.Out, "There is nothing to remove: this program has every key that is registered.")
		return nil
	}
	for _, head := range going {
		fmt.Fprintln(out.Out, head+registered[head].Dims)
	}
	if !c.Yes {
		return errors.New("nothing was done: --yes removes these keys from the registry and deletes their entries")
	}
	deleted, err := registry.Forget(ctx, going...)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Out, "Removed, with %d entries. A process that runs with one of these keys registers it again; one that starts with it is refused without --migrate-cache-key.\n", deleted)
	return nil
}
