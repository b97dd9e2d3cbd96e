package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// scenario runs a scenario for some seconds and returns which of its checks failed.
// How fast it is answered does not matter here.
func (p *prover) scenario(ctx context.Context, name, first, second string) ([]string, error) {
	summary := filepath.Join(p.scratch, "summary.json")
	args := append(p.k6[1:len(p.k6):len(p.k6)], "run", "--quiet", filepath.Join("loadtest", name+".js"))
	cmd := exec.CommandContext(ctx, p.k6[0], args...)
	cmd.Env = append(cmd.Environ(), "BASE_URL="+first, "OTHER_URL="+second, "SUMMARY="+summary,
		"STRICT=0", "RATE=150", "DURATION=6s", "JWT_SECRET="+p.rig.Secret, "K6_NO_USAGE_REPORT=true")
	// k6 fails when a check does, so that says little; without a summary, nothing ran.
	if err := os.Remove(summary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	output, failure := cmd.CombinedOutput()
	failed, err := failedChecks(summary)
	if err != nil {
		return nil, fmt.Errorf("k6: %w\n%s", errors.Join(err, failure), output)
	}
	return failed, nil
}

// failedChecks reads the names of checks that failed, and how often, from k6's summary.
func failedChecks(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var summary struct {
		RootGroup struct {
			Checks []struct {
				Name          string
				Passes, Fails int
			}
		} `json:"root_group"`
	}
	if err := json.Unmarshal(text, &summary); err != nil {
		return nil, fmt.Errorf("k6's summary: %w", err)
	}
	if len(summary.RootGroup.Checks) == 0 {
		return nil, errors.New("k6's summary has no checks")
	}
	var failed []string
	for _, c := range summary.RootGroup.Checks {
		if c.Fails > 0 {
			failed = append(failed, fmt.Sprintf("%s (%d of %d)", c.Name, c.Fails, c.Passes+c.Fails))
		}
	}
	return failed, nil
}
