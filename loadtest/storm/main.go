// Program storm lets ten thousand users hold the page of one community, has somebody
// post there, which empties them all, and lets all of them read again within a second.
// It shows what reaches Postgres, and when the last of them has the new page.
//
// Idea: which posts a page shows is loaded once for all readers of an order, whatever
// their language; what is their own is loaded once for each of them, and a post does not
// change it. So as long as that is fresh, what a post costs the database does not depend
// on how many read it.
//
// Invariant: every answer after the post is its reader's, and shows the post, or the
// run fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/loadtest/internal/rig"
)

type command struct {
	rig.Options
	Users       int           `default:"10000" placeholder:"N" help:"Who holds the page; the database must have them (medium: 10,000)."`
	Community   int64         `default:"12" placeholder:"ID" help:"Whose page: one that everybody may see, with user 42 a member."`
	Within      time.Duration `default:"1s" placeholder:"DURATION" help:"In what time all of them ask again."`
	Connections int           `default:"256" placeholder:"N" help:"Requests under way at a time, at most."`
	Rounds      int           `default:"3" placeholder:"N" help:"How many posts, one after the other."`
}

func main() {
	embedded.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var c command
	parser := kong.Parse(&c, kong.Description("Empty the page of a community that ten thousand users hold."), kong.Vars{"size": "medium"})
	parser.FatalIfErrorf(c.run(ctx))
}

func (c *command) run(ctx context.Context) (err error) {
	r, err := rig.Start(ctx, c.Options, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	versions, err := r.Versions(ctx)
	if err != nil {
		return err
	}
	service, err := r.Serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	fmt.Printf("%s, %s\n%s users, one language, one order; at most %d requests at a time; asked for within %v\n\n",
		report.Machine(), versions, report.Number(float64(c.Users)), c.Connections, c.Within)

	crowd, err := newCrowd(service.URL, r.Secret, c.Community, c.Users, c.Connections)
	if err != nil {
		return err
	}
	first, err := c.counted(ctx, service, func() (reading, error) { return crowd.read(ctx, c.Within, "") })
	if err != nil {
		return err
	}
	first.what = "the first read"
	all := storms{first}
	for n := range c.Rounds {
		title := fmt.Sprintf("Post %d of a storm", n+1)
		if err := crowd.post(ctx, title); err != nil {
			return err
		}
		s, err := c.counted(ctx, service, func() (reading, error) { return crowd.read(ctx, c.Within, title) })
		if err != nil {
			return err
		}
		s.what = fmt.Sprintf("after post %d", n+1)
		all = append(all, s)
	}
	fmt.Println(all.table())
	return nil
}

// counted runs one reading by all, and takes the differences of the service's counters.
func (c *command) counted(ctx context.Context, service *rig.Service, read func() (reading, error)) (storm, error) {
	before, err := service.Metrics(ctx)
	if err != nil {
		return storm{}, err
	}
	a, err := read()
	if err != nil {
		return storm{}, err
	}
	after, err := service.Metrics(ctx)
	if err != nil {
		return storm{}, err
	}
	const slow = "communityfeed_cache_l2_errors_total"
	s := storm{
		reading: a,
		queries: after.Queries("read") - before.Queries("read"),
		slow:    after.Sum(slow) - before.Sum(slow),
		loads:   make(map[string]float64),
	}
	const loads = "communityfeed_cache_loads_total"
	for _, key := range after.Values(loads, "key") {
		if n := after.Sum(loads, "key", key) - before.Sum(loads, "key", key); n > 0 {
			s.loads[key] = n
		}
	}
	return s, nil
}

// A storm is one reading of the page by all.
type storm struct {
	what string
	reading
	queries float64            // that the read pool sent
	slow    float64            // calls to Redis that were given up: each is taken for a miss
	loads   map[string]float64 // by key
}

type storms []storm

// table has a column for every key that was loaded. The load of a page is to put it
// together; what it asks of Postgres are loads of other keys.
func (all storms) table() report.Table {
	var keys []string
	for _, s := range all {
		for key := range s.loads {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	head := []string{"", "queries", "for each user"}
	for _, key := range keys {
		head = append(head, "loads of "+key)
	}
	t := report.Table{append(head, "Redis given up", "p50", "p99", "all have it after")}
	for _, s := range all {
		row := []string{s.what, report.Number(s.queries), report.Number(s.queries / float64(len(s.times)))}
		for _, key := range keys {
			row = append(row, report.Number(s.loads[key]))
		}
		t = append(t, append(row, report.Number(s.slow),
			report.Millis(report.Percentile(s.times, 50)), report.Millis(report.Percentile(s.times, 99)), report.Millis(s.took)))
	}
	return t
}
