package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// fragments are what the pages of the domain are composed of. Each is a load of its key
// and nothing else; see routes.go.
type fragments struct {
	communities *cache.Fragments[communityKey, SharedCommunity]
	feeds       *cache.Fragments[feedKey, SharedPage]
	posts       *cache.Fragments[postKey, CommunityPost]
	readers     *cache.Fragments[readerKey, Reader]
	members     *cache.Fragments[memberKey, Membership]
	likes       *cache.Fragments[bucketKey, []PostID]
	blocks      *cache.Fragments[bucketKey, []identity.UserID]
}

func newFragments(s *Store, c *cache.Cache) fragments {
	return fragments{
		communities: cache.NewFragments(c, communityFragment, s.loadCommunity),
		feeds:       cache.NewFragments(c, feedFragment, s.loadFeed),
		posts:       cache.NewFragments(c, postFragment, s.loadPost),
		readers:     cache.NewFragments(c, readerFragment, s.loadReader),
		members:     cache.NewFragments(c, memberFragment, s.loadMembership),
		likes:       cache.NewFragments(c, likesFragment, s.loadLikes),
		blocks:      cache.NewFragments(c, blocksFragment, s.loadBlocks),
	}
}

// SharedCommunity is a community as all see it who may.
type SharedCommunity struct {
	ID         CommunityID `json:"id"`
	Name       string      `json:"name"`
	Visibility Visibility  `json:"visibility"`
	Owner      Person      `json:"owner"`
	CreatedAt  time.Time   `json:"createdAt"`
}

// Membership is whether somebody is a member of a community.
type Membership struct {
	Member bool `json:"member"`
}

// CommunityPost is a post in all languages, and where it was posted.
type CommunityPost struct {
	Community CommunityID `json:"community"`
	SharedPost
}

func (s *Store) loadCommunity(ctx context.Context, k communityKey) (c SharedCommunity, err error) {
	err = s.read.QueryRow(ctx, `
		SELECT c.id, c.name, c.visibility, u.id, u.name, c.created_at
		FROM communities c JOIN users u ON u.id = c.owner_id
		WHERE c.id = $1`, k.Community).Scan(&c.ID, &c.Name, &c.Visibility, &c.Owner.ID, &c.Owner.Name, &c.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, communityNotFound(k.Community)
	}
	if err != nil {
		return c, fmt.Errorf("reading community %d: %w", k.Community, err)
	}
	return c, nil
}

func (s *Store) loadMembership(ctx context.Context, k memberKey) (m Membership, err error) {
	if err := s.read.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM members WHERE community_id = $1 AND user_id = $2)`, k.Community, k.User).Scan(&m.Member); err != nil {
		return m, fmt.Errorf("looking up user %d in community %d: %w", k.User, k.Community, err)
	}
	return m, nil
}

func (s *Store) loadFeed(ctx context.Context, k feedKey) (SharedPage, error) {
	after, err := parsePosition(k.Order, k.After)
	if err != nil {
		return SharedPage{}, err
	}
	return s.Shared(ctx, k.Community, k.Order, after, k.Limit)
}

func (s *Store) loadPost(ctx context.Context, k postKey) (p CommunityPost, err error) {
	var translations [][]string
	err = s.read.QueryRow(ctx, `
		SELECT p.community_id, p.id, p.title, p.body, p.locale,
		       ARRAY (SELECT ARRAY [locale, title, body] FROM post_translations WHERE post_id = p.id),
		       u.id, u.name, p.likes, p.likes_seq, p.created_at, p.version
		FROM posts p JOIN users u ON u.id = p.author_id
		WHERE p.id = $1 AND p.deleted_at IS NULL`, k.Post).Scan(&p.Community, &p.ID, &p.Title, &p.Body, &p.Locale,
		&translations, &p.Author.ID, &p.Author.Name, &p.Likes, &p.LikesSeq, &p.CreatedAt, &p.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, postNotFound(k.Post)
	}
	if err != nil {
		return p, fmt.Errorf("reading post %d: %w", k.Post, err)
	}
	p.Translations = byLocale(translations)
	return p, nil
}

func (s *Store) loadReader(ctx context.Context, k readerKey) (Reader, error) {
	return s.Reader(ctx, k.User)
}

// A bucket is a thousand numbers in a row: small enough to keep all that one reader likes
// or blocks among them, and large enough for a page of posts to fall into few.
const bucketSize = 1000

func bucketOf[ID ~int64](id ID) int64 { return int64(id) / bucketSize }

const likesSQL = `SELECT post_id FROM likes WHERE user_id = $1 AND post_id >= $2 AND post_id < $3 ORDER BY post_id`

func (s *Store) loadLikes(ctx context.Context, k bucketKey) ([]PostID, error) {
	return loadBucket[PostID](ctx, s, k, likesSQL)
}

func (s *Store) loadBlocks(ctx context.Context, k bucketKey) ([]identity.UserID, error) {
	return loadBucket[identity.UserID](ctx, s, k, `
		SELECT blocked_id FROM blocks WHERE blocker_id = $1 AND blocked_id >= $2 AND blocked_id < $3 ORDER BY blocked_id`)
}

// loadBucket reads what a user has in one bucket, in order.
func loadBucket[ID ~int64](ctx context.Context, s *Store, k bucketKey, sql string) ([]ID, error) {
	rows, err := s.read.Query(ctx, sql, k.User, k.Bucket*bucketSize, (k.Bucket+1)*bucketSize)
	if err != nil {
		return nil, fmt.Errorf("reading bucket %d of user %d: %w", k.Bucket, k.User, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[ID])
	if err != nil {
		return nil, fmt.Errorf("reading bucket %d of user %d: %w", k.Bucket, k.User, err)
	}
	return ids, nil
}
