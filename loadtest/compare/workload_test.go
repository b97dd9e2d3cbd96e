package main

import (
	"testing"

	"github.com/alecthomas/kong"
)

// parse makes a command of a command line.
func parse(t *testing.T, args ...string) *command {
	t.Helper()
	var c command
	parser, err := kong.New(&c, kong.Vars{"size": "small"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestFlagsChangeWhatTheWorkloadSays(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "1,000 users, 3 communities each of 40, Zipf 1.1; 5 % writes, of which 5 % posts; 10s after 5s of warm-up"},
		{[]string{"--workload", "wide"}, "500 requests/s, 1,000 users, 2 processes in turn, 3 locales each, 40 communities each of 40, uniform; 5 % writes, of which 100 % posts; 20s after 15s of warm-up"},
		{[]string{"--workload", "wide", "--rate", "80", "--users", "200", "--communities", "60", "--locales", "2", "--processes", "3", "--writes", "0", "--for", "1s", "--warmup", "0s"},
			"80 requests/s, 200 users, 3 processes in turn, 2 locales each, 60 communities each of 60, uniform; 0 % writes, of which 100 % posts; 1s after 0s of warm-up"},
	} {
		w, err := parse(t, c.args...).workload()
		if err != nil || w.String() != c.want {
			t.Errorf("%q is %q (%v), want %q", c.args, w, err, c.want)
		}
	}
	for _, wrong := range [][]string{{"--locales", "7"}, {"--locales", "0"}, {"--processes", "0"}, {"--users", "1"}, {"--communities", "1"}, {"--rate=-1"}, {"--modes", "peer"}} {
		if w, err := parse(t, wrong...).workload(); err == nil {
			t.Errorf("%q is %q", wrong, w)
		}
	}
}

func TestModesKeepTheirOrder(t *testing.T) {
	w, err := parse(t, "--workload", "wide", "--modes", "plain,both").workload()
	if err != nil || len(w.modes) != 2 || w.modes[0].name != "both" || w.modes[1].name != "plain" {
		t.Errorf("the modes are %v (%v)", w.modes, err)
	}
	if all := workloadOf("wide").modes; len(all) != 5 {
		t.Errorf("the workload itself has %v now", all)
	}
}

func TestAnEmptyDatabaseGetsWhatTheWorkloadNeeds(t *testing.T) {
	for _, c := range []struct {
		users, communities int
		least, want        string
	}{
		{1000, 40, "small", "small"}, {1001, 40, "small", "medium"}, {1000, 41, "small", "medium"},
		{1000, 40, "large", "large"}, {20_000, 40, "medium", "large"}, {1_000_000, 40, "small", "large"},
	} {
		if got := sizeFor(mix{Users: c.users, Communities: c.communities}, c.least); got != c.want {
			t.Errorf("%d users and %d communities get %s, want %s", c.users, c.communities, got, c.want)
		}
	}
}
