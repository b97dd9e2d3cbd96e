package main

import (
	"context"
	"fmt"
	"os/exec"

	"example.com/communityfeed/internal/overlay"
)

// build builds the service with edits laid over it.
func build(ctx context.Context, program, scratch string, edits []overlay.Edit) error {
	file, err := overlay.Lay(".", scratch, edits...)
	if err != nil {
		return err
	}
	output, err := exec.CommandContext(ctx, "go", "build", "-o", program, "-overlay", file, "./cmd/api").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building: %w\n%s", err, output)
	}
	return nil
}
