package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/telemetry"
)

type keysCmd struct {
	Print keysPrint `cmd:"" help:"Write the manifest: one line per key, its name/version and its dimensions."`
}

type keysPrint struct{}

// Run mounts all routes on connections that do not exist, and asks the cache what
// was declared.
func (keysPrint) Run(out streams) error {
	pages := cache.New(nil, cache.Options{})
	defer pages.Close()
	_, _, err := assemble(parts{
		log: slog.New(slog.DiscardHandler), secret: developmentSecret,
		pages: pages, metrics: telemetry.NewMetrics(),
	})
	if err != nil {
		return err
	}
	return writeManifest(out.Out, pages.Specs())
}

// writeManifest writes the keys in their order, each as it renders but for the
// values: what two versions of a key have in common then shows in a diff.
func writeManifest(w io.Writer, specs []cache.Spec) error {
	for _, s := range specs {
		line := fmt.Sprintf("%s/%d", s.Name, s.Version)
		if len(s.Dims) > 0 {
			line += "|" + strings.Join(s.Dims, "=|") + "="
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
