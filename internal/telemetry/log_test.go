package telemetry_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"example.com/communityfeed/internal/telemetry"
)

func TestTheLogHasTheFormatAndLevelAskedFor(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("too quiet")
	log.Warn("heard", "n", 7)
	var line struct {
		Msg   string
		Level string
		N     int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != "heard" || line.Level != "WARN" || line.N != 7 {
		t.Errorf("got %q, %v", out.String(), err)
	}

	out.Reset()
	if log, err = telemetry.NewLogger(&out, "text", "debug"); err != nil {
		t.Fatal(err)
	}
	log.Debug("heard")
	if !strings.Contains(out.String(), "level=DEBUG msg=heard") {
		t.Errorf("got %q", out.String())
	}
}

func TestAWrongFormatOrLevelIsNamed(t *testing.T) {
	for _, tc := range []struct{ format, level, want string }{
		{"xml", "info", `"xml"`}, {"", "info", `""`}, {"json", "loud", `"loud"`}, {"json", "", `""`},
	} {
		if _, err := telemetry.NewLogger(&bytes.Buffer{}, tc.format, tc.level); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("format %q, level %q: %v does not name %s", tc.format, tc.level, err, tc.want)
		}
	}
}
