package feed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// fragments are what the pages of the domain are composed of. Each is a load of its key
// and nothing else; see routes.go.
type fragments struct {
	communities *cache.Source[SharedCommunity]
	feeds       *cache.Source[SharedPage]
	posts       *cache.Source[CommunityPost]
	readers     *cache.Source[Reader]
	members     *cache.Source[Membership]
	likes       *cache.Source[[]PostID]
	blocks      *cache.Source[[]identity.UserID]
}

func newFragments(s *Store, c *cache.Cache) fragments {
	return fragments{
		communities: cache.NewSource(c, communityFragment, cache.JSON[SharedCommunity]{}, s.loadCommunity),
		feeds:       cache.NewSource(c, feedFragment, cache.JSON[SharedPage]{}, s.loadFeed),
		posts:       cache.NewSource(c, postFragment, cache.JSON[CommunityPost]{}, s.loadPost),
		readers:     cache.NewSource(c, readerFragment, cache.JSON[Reader]{}, s.loadReader),
		members:     cache.NewSource(c, membershipFragment, cache.JSON[Membership]{}, s.loadMembership),
		likes:       cache.NewSource(c, likesFragment, cache.JSON[[]PostID]{}, s.loadLikes),
		blocks:      cache.NewSource(c, blocksFragment, cache.JSON[[]identity.UserID]{}, s.loadBlocks),
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

// number reads a dimension that is one.
func number[ID ~int64](k cache.Key, dim string) (ID, error) {
	n, err := strconv.ParseInt(k.Get(dim), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s of key %s: %w", dim, k, err)
	}
	return ID(n), nil
}

// ofUser reads the dimension that says whose a key is.
func ofUser(k cache.Key) (identity.UserID, error) {
	user, err := identity.ParseUserID(k.Get("user"))
	if err != nil {
		return 0, fmt.Errorf("user of key %s: %w", k, err)
	}
	return user, nil
}

func (s *Store) loadCommunity(ctx context.Context, k cache.Key) (c SharedCommunity, err error) {
	id, err := number[CommunityID](k, "community")
	if err != nil {
		return c, err
	}
	err = s.read.QueryRow(ctx, `
		SELECT c.id, c.name, c.visibility, u.id, u.name, c.created_at
		FROM communities c JOIN users u ON u.id = c.owner_id
		WHERE c.id = $1`, id).Scan(&c.ID, &c.Name, &c.Visibility, &c.Owner.ID, &c.Owner.Name, &c.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, communityNotFound(id)
	}
	if err != nil {
		return c, fmt.Errorf("reading community %d: %w", id, err)
	}
	return c, nil
}

func (s *Store) loadMembership(ctx context.Context, k cache.Key) (m Membership, err error) {
	id, err := number[CommunityID](k, "community")
	if err != nil {
		return m, err
	}
	user, err := ofUser(k)
	if err != nil {
		return m, err
	}
	if err := s.read.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM members WHERE community_id = $1 AND user_id = $2)`, id, user).Scan(&m.Member); err != nil {
		return m, fmt.Errorf("looking up user %d in community %d: %w", user, id, err)
	}
	return m, nil
}

func (s *Store) loadFeed(ctx context.Context, k cache.Key) (SharedPage, error) {
	id, err := number[CommunityID](k, "community")
	if err != nil {
		return SharedPage{}, err
	}
	limit, err := strconv.Atoi(k.Get("limit"))
	if err != nil {
		return SharedPage{}, fmt.Errorf("limit of key %s: %w", k, err)
	}
	order := Order(k.Get("order"))
	after, err := parsePosition(order, k.Get("after"))
	if err != nil {
		return SharedPage{}, err
	}
	return s.Shared(ctx, id, order, after, limit)
}

func (s *Store) loadPost(ctx context.Context, k cache.Key) (p CommunityPost, err error) {
	id, err := number[PostID](k, "post")
	if err != nil {
		return p, err
	}
	var translations [][]string
	err = s.read.QueryRow(ctx, `
		SELECT p.community_id, p.id, p.title, p.body, p.locale,
		       ARRAY (SELECT ARRAY [locale, title, body] FROM post_translations WHERE post_id = p.id),
		       u.id, u.name, p.likes, p.likes_seq, p.created_at, p.version
		FROM posts p JOIN users u ON u.id = p.author_id
		WHERE p.id = $1 AND p.deleted_at IS NULL`, id).Scan(&p.Community, &p.ID, &p.Title, &p.Body, &p.Locale,
		&translations, &p.Author.ID, &p.Author.Name, &p.Likes, &p.LikesSeq, &p.CreatedAt, &p.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, postNotFound(id)
	}
	if err != nil {
		return p, fmt.Errorf("reading post %d: %w", id, err)
	}
	p.Translations = byLocale(translations)
	return p, nil
}

func (s *Store) loadReader(ctx context.Context, k cache.Key) (Reader, error) {
	user, err := ofUser(k)
	if err != nil {
		return Reader{}, err
	}
	return s.Reader(ctx, user)
}

// A bucket is a thousand numbers in a row: small enough to keep all that one reader likes
// or blocks among them, and large enough for a page of posts to fall into few.
const bucketSize = 1000

func bucketOf[ID ~int64](id ID) int64 { return int64(id) / bucketSize }

const likesSQL = `SELECT post_id FROM likes WHERE user_id = $1 AND post_id >= $2 AND post_id < $3 ORDER BY post_id`

func (s *Store) loadLikes(ctx context.Context, k cache.Key) ([]PostID, error) {
	return loadBucket[PostID](ctx, s, k, likesSQL)
}

func (s *Store) loadBlocks(ctx context.Context, k cache.Key) ([]identity.UserID, error) {
	return loadBucket[identity.UserID](ctx, s, k, `
		SELECT blocked_id FROM blocks WHERE blocker_id = $1 AND blocked_id >= $2 AND blocked_id < $3 ORDER BY blocked_id`)
}

// loadBucket reads what a user has in one bucket, in order.
func loadBucket[ID ~int64](ctx context.Context, s *Store, k cache.Key, sql string) ([]ID, error) {
	user, err := ofUser(k)
	if err != nil {
		return nil, err
	}
	bucket, err := number[int64](k, "bucket")
	if err != nil {
		return nil, err
	}
	rows, err := s.read.Query(ctx, sql, user, bucket*bucketSize, (bucket+1)*bucketSize)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[ID])
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k, err)
	}
	return ids, nil
}
