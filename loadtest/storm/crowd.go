package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/communityfeed/internal/identity"
)

// poster is who posts: in every size of the demo data a member of community 12.
const poster = 42

// A crowd is users who all read the page of one community.
type crowd struct {
	page    string // its URL
	headers []http.Header
	client  http.Client
	most    int // requests under way at a time
}

func newCrowd(base, secret string, community int64, users, most int) (*crowd, error) {
	c := &crowd{
		page: fmt.Sprintf("%s/api/communities/%d/posts", base, community),
		most: most,
		client: http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: most, DisableCompression: true,
		}},
	}
	for user := range users {
		token, err := identity.Sign(secret, identity.UserID(user+1), "", time.Hour)
		if err != nil {
			return nil, err
		}
		c.headers = append(c.headers, http.Header{"Authorization": {"Bearer " + token}})
	}
	return c, nil
}

// post writes a post with this title, so that every page is out of date.
func (c *crowd) post(ctx context.Context, title string) error {
	body := strings.NewReader(fmt.Sprintf(`{"title":%q,"body":"Everybody will want to see this."}`, title))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.page, body)
	if err != nil {
		return err
	}
	req.Header = c.headers[poster-1].Clone()
	req.Header.Set("Content-Type", "application/json")
	_, err = c.do(req, http.StatusCreated)
	return err
}

// A reading is the page read once by each user.
type reading struct {
	times []time.Duration // each user's, sorted
	took  time.Duration   // from when the first was let go to when the last had theirs
}

// read lets every user read the page: evenly spread over a time, or as soon after as a
// connection is free. Each must get their own page, and see the title on it.
func (c *crowd) read(ctx context.Context, within time.Duration, title string) (reading, error) {
	var (
		all, ctxAll = errgroup.WithContext(ctx)
		next        atomic.Int64
		mu          sync.Mutex
		r           reading
		began       = time.Now()
	)
	for range c.most {
		all.Go(func() error {
			var times []time.Duration
			for {
				n := int(next.Add(1)) - 1
				if n >= len(c.headers) {
					break
				}
				due := began.Add(within * time.Duration(n) / time.Duration(len(c.headers)))
				time.Sleep(time.Until(due)) // the pace of the crowd is what is asked for
				took, err := c.readOne(ctxAll, n, title)
				if err != nil {
					return err
				}
				times = append(times, took)
			}
			mu.Lock()
			defer mu.Unlock()
			r.times = append(r.times, times...)
			return nil
		})
	}
	err := all.Wait()
	r.took = time.Since(began)
	slices.Sort(r.times)
	return r, err
}

// readOne reads as the nth user.
func (c *crowd) readOne(ctx context.Context, n int, title string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.page, nil)
	if err != nil {
		return 0, err
	}
	req.Header = c.headers[n]
	began := time.Now()
	body, err := c.do(req, http.StatusOK)
	took := time.Since(began)
	if err == nil {
		err = check(body, n+1, title)
	}
	return took, err
}

// check tells whether a page is that user's, and has the post.
func check(body string, user int, title string) error {
	switch {
	case !strings.HasPrefix(body, fmt.Sprintf(`{"viewer":%d,`, user)):
		return fmt.Errorf("user %d got %.40s…", user, body)
	case !strings.Contains(body, title):
		return fmt.Errorf("user %d does not see %q", user, title)
	}
	return nil
}

func (c *crowd) do(req *http.Request, want int) (string, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, resp.Status, body)
	}
	return string(body), err
}
