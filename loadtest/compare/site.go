package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/communityfeed/internal/identity"
)

// A site is what the traffic is aimed at: paths and headers, made once.
type site struct {
	traffic
	communities []int64
	posts       [][]int64 // of each community, those that can be liked
	headers     []http.Header
}

// likeable is how many posts of a community are liked: those on its first page.
const likeable = 20

// newSite asks the service which communities everybody may see and what is posted
// there. Posts that can be liked are not deleted by this traffic.
func newSite(ctx context.Context, base, secret string, m mix, seed uint64) (*site, error) {
	s := new(site)
	var list struct {
		Items []struct {
			ID         int64
			Visibility string
		}
	}
	if err := send(ctx, http.MethodGet, base+"/api/communities?limit=100", nil, &list); err != nil {
		return nil, err
	}
	for _, c := range list.Items {
		var page struct{ Items []struct{ ID int64 } }
		if err := send(ctx, http.MethodGet, fmt.Sprintf("%s/api/communities/%d/posts?limit=%d", base, c.ID, likeable), nil, &page); err != nil {
			return nil, err
		}
		if c.Visibility != "public" || len(page.Items) < likeable {
			continue
		}
		s.communities = append(s.communities, c.ID)
		var ids []int64
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		s.posts = append(s.posts, ids)
	}
	if len(s.communities) < 2 {
		return nil, fmt.Errorf("the database has %d communities with %d posts that everybody may see: seed it", len(s.communities), likeable)
	}
	s.traffic = newTraffic(m, seed, len(s.communities), likeable)
	for _, r := range s.readers {
		token, err := identity.Sign(secret, identity.UserID(r.user), "", 24*time.Hour)
		if err != nil {
			return nil, err
		}
		h := http.Header{
			"Authorization":   {"Bearer " + token},
			"Accept-Language": {r.locale},
			"User-Agent":      {"loadtest"},
		}
		if r.feedV2 {
			h[identity.HeaderFeedV2] = []string{"1"}
		}
		s.headers = append(s.headers, h)
	}
	return s, s.join(ctx, base)
}

// join makes every reader a member of what they follow: who is none may not post.
func (s *site) join(ctx context.Context, base string) error {
	all, within := errgroup.WithContext(ctx)
	all.SetLimit(8)
	for i, r := range s.readers {
		for _, c := range r.follows {
			all.Go(func() error {
				return send(within, http.MethodPut, fmt.Sprintf("%s/api/communities/%d/members/me", base, s.communities[c]), s.headers[i], nil)
			})
		}
	}
	return all.Wait()
}

// send makes one request, and decodes what is answered unless into is nil.
func send(ctx context.Context, method, url string, header http.Header, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
