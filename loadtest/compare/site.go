package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/loadtest/internal/rig"
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
func newSite(ctx context.Context, base string, r *rig.Rig, m mix, seed uint64) (*site, error) {
	s := new(site)
	for next := ""; len(s.communities) < m.Communities; {
		var list struct {
			Items []struct {
				ID         int64
				Visibility string
			}
			Next string
		}
		if err := get(ctx, base+"/api/communities?limit=100"+next, &list); err != nil {
			return nil, err
		}
		for _, c := range list.Items {
			var page struct{ Items []struct{ ID int64 } }
			if c.Visibility != "public" || len(s.communities) == m.Communities {
				continue
			}
			if err := get(ctx, fmt.Sprintf("%s/api/communities/%d/posts?limit=%d", base, c.ID, likeable), &page); err != nil {
				return nil, err
			}
			if len(page.Items) < likeable {
				continue
			}
			var ids []int64
			for _, item := range page.Items {
				ids = append(ids, item.ID)
			}
			s.communities, s.posts = append(s.communities, c.ID), append(s.posts, ids)
		}
		if next = "&after=" + url.QueryEscape(list.Next); list.Next == "" {
			break
		}
	}
	if len(s.communities) < m.Communities {
		return nil, fmt.Errorf("the database has %d communities with %d posts that everybody may see, and %d are to be read: seed it with more", len(s.communities), likeable, m.Communities)
	}
	s.traffic = newTraffic(m, seed, likeable)
	for _, reader := range s.readers {
		token, err := identity.Sign(r.Secret, identity.UserID(reader.user), "", 24*time.Hour)
		if err != nil {
			return nil, err
		}
		h := http.Header{
			"Authorization":   {"Bearer " + token},
			"Accept-Language": {reader.locale},
			"User-Agent":      {"loadtest"},
		}
		if reader.feedV2 {
			h[identity.HeaderFeedV2] = []string{"1"}
		}
		s.headers = append(s.headers, h)
	}
	return s, s.join(ctx, r)
}

// join makes every user a member of what they follow: who is none may not post. It does
// not ask the service, which would take a minute: no cache has been filled yet.
func (s *site) join(ctx context.Context, r *rig.Rig) error {
	var users, communities []int64
	for _, reader := range s.readers {
		for _, c := range reader.follows {
			users, communities = append(users, reader.user), append(communities, s.communities[c])
		}
	}
	err := r.Exec(ctx, `INSERT INTO members (user_id, community_id) SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING`, users, communities)
	if err != nil {
		return fmt.Errorf("joining (are there as many users?): %w", err)
	}
	return nil
}

// get decodes what is answered.
func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
