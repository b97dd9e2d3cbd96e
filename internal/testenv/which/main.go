// Command which prints in one line what the tests will run on, because
// `go test` hides what passing packages say.
package main

import (
	"context"
	"fmt"
	"os"

	"example.com/communityfeed/internal/testenv"
)

func main() {
	ctx := context.Background()
	choice, err := testenv.Choose(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		os.Exit(1)
	}
	fmt.Println("Tests run on:", choice.Describe(ctx))
}
