package report

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"
)

var cpuModel = regexp.MustCompile(`model name\s*: (.*)`)

// Machine says on what something is measured, and when.
func Machine() string {
	cpu := runtime.GOARCH
	about, _ := os.ReadFile("/proc/cpuinfo") // where there is none, the architecture must do
	if model := cpuModel.FindSubmatch(about); model != nil {
		cpu = string(model[1])
	}
	return fmt.Sprintf("%s: %d cores of %s, %s, %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version())
}
