package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/communityfeed/internal/cache/manifest"
)

type keysPrune struct {
	Keys []string `arg:"" optional:"" name:"name/version" help:"Which keys to take out; without any, all that this program does not have."`
	Yes  bool     `help:"Do it. Without this, it is only shown what would be done."`
	keyRecord
}

// Help is shown by kong.
func (*keysPrune) Help() string {
	return `Run it with the newest program that is deployed, once nothing is to be rolled back any more. It takes nothing out that this program has itself.

A process that still runs with a key that was taken out enters it again within seconds, and has lost nothing but its entries in Redis. One that starts with it later is refused as any new key is, until it is given --migrate-cache-key.`
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
	record, err := registry.Read(ctx)
	if err != nil {
		return err
	}
	going, err := c.going(keys, record)
	if err != nil {
		return err
	}
	if len(going) == 0 {
		fmt.Fprintln(out.Out, "There is nothing to take out: this program has every key on record.")
		return nil
	}
	for _, head := range going {
		fmt.Fprintln(out.Out, head+record[head])
	}
	if !c.Yes {
		return errors.New("nothing was done: --yes takes these keys out of the record and deletes their entries")
	}
	deleted, err := registry.Forget(ctx, going...)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Out, "Taken out, with %d entries. A process that runs with one of these keys enters it again; one that starts with it is refused without --migrate-cache-key.\n", deleted)
	return nil
}

// going are the keys to take out.
func (c *keysPrune) going(keys, record manifest.Manifest) ([]string, error) {
	gone := keys.Diff(record).Gone
	for _, head := range c.Keys {
		switch _, own := keys[head]; {
		case own:
			return nil, fmt.Errorf("%s is a key of this program", head)
		case !slices.Contains(gone, head):
			return nil, fmt.Errorf("%s is not on record; what this program does not have is: %s", head, strings.Join(gone, ", "))
		}
	}
	if len(c.Keys) > 0 {
		return c.Keys, nil
	}
	return gone, nil
}
