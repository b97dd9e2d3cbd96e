package cachetest

import (
	"os"
	"testing"

	"example.com/communityfeed/internal/testenv"
)

// TestMain also makes this binary one of the processes of a stampede, which starts
// no server and so needs nothing of testenv.
func TestMain(m *testing.M) {
	if os.Getenv(stampedeMark) != "" {
		stampede(os.Stdin, os.Stdout)
		return
	}
	testenv.Main(m)
}
