package main

import (
	"os"
	"testing"

	"example.com/communityfeed/internal/testenv"
)

// asProgram makes the test binary be the program: `api dev` executes itself again,
// and so do the tests of whole processes.
const asProgram = "COMMUNITYFEED_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	// What is set on this machine is none of the tests' business.
	parser, err := newParser(new(cli))
	if err != nil {
		panic(err)
	}
	for _, command := range parser.Model.Leaves(false) {
		for _, f := range command.Flags {
			for _, env := range f.Envs {
				os.Unsetenv(env)
			}
		}
	}
	testenv.Main(m)
}
