package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"

	"example.com/communityfeed/internal/embedded"
)

// A test leases one of Redis's numbered databases. The leases are keys in
// database 0, so that test binaries which share a server respect each other,
// and they expire, so that a killed binary does not keep its databases.
const (
	redisDatabases = 16
	leaseTime      = 15 * time.Second
	leaseWait      = time.Minute
)

type redisServer struct {
	url    string
	leases *redis.Client // on database 0
}

// Redis returns the URL of an empty logical database (SELECT 1 to 15) that is
// this test's alone until it ends; FLUSHDB is allowed, FLUSHALL is not. A test
// that finds all of them leased waits, so a parallel test calls t.Parallel
// before it calls Redis.
//
// Channels know no databases: a message that is published on one reaches the
// subscribers on all. Tests that publish give their names a Prefix.
func Redis(t testing.TB) string {
	t.Helper()
	s := shared.redis.get(t, startRedis)
	n, err := s.lease(t)
	if err != nil {
		t.Fatalf("testenv: leasing a Redis database: %v", err)
	}
	if err := s.flush(n); err != nil {
		t.Fatalf("testenv: emptying Redis database %d: %v", n, err)
	}
	return s.database(n)
}

// Prefix returns a prefix for keys and channels that nobody else uses.
func Prefix(testing.TB) string { return "t" + strings.ToLower(rand.Text()[:10]) + ":" }

func startRedis(ctx context.Context, c Choice) (*redisServer, error) {
	var at, about string
	switch c.Redis {
	case URLs:
		at, about = c.redisURL, "the server of TEST_REDIS_URL"
	case Containers:
		addr, err := runContainer(ctx, redisImage, "6379/tcp",
			testcontainers.WithCmd("redis-server", "--save", "", "--appendonly", "no"))
		if err != nil {
			return nil, err
		}
		at, about = "redis://"+addr+"/0", redisImage+" in a container"
	case Embedded:
		server, err := embedded.StartRedis(ctx)
		if err != nil {
			return nil, err
		}
		stopLater(server.Close)
		at, about = server.URL, server.About
	}
	options, err := redis.ParseURL(at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	options.DB = 0
	options.ContextTimeoutEnabled = true
	s := &redisServer{url: at, leases: redis.NewClient(options)}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := await(ctx, "Redis ("+about+")", func(ctx context.Context) error { return s.leases.Ping(ctx).Err() }); err != nil {
		return nil, errors.Join(err, s.leases.Close())
	}
	announce(about)
	return s, nil
}

// lease takes a free database for the test and keeps it until the test ends.
func (s *redisServer) lease(t testing.TB) (n int, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), leaseWait)
	defer cancel()
	token := rand.Text()
	for {
		for n := 1; n < redisDatabases; n++ {
			ok, err := s.leases.SetNX(ctx, leaseKey(n), token, leaseTime).Result()
			if err != nil {
				return 0, err
			}
			if ok {
				t.Cleanup(s.hold(n, token))
				return n, nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("all %d are taken for %s; call t.Parallel before testenv.Redis", redisDatabases-1, leaseWait)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// hold renews a lease until the returned function is called, which empties the
// database and gives it back.
func (s *redisServer) hold(n int, token string) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		renew := time.NewTicker(leaseTime / 3)
		defer renew.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-renew.C:
				_ = s.leases.PExpire(ctx, leaseKey(n), leaseTime).Err() // the next one may work
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		if err := s.flush(n); err != nil {
			return // not given back: the lease runs out
		}
		_ = giveBack.Run(context.Background(), s.leases, []string{leaseKey(n)}, token).Err()
	}
}

var giveBack = redis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end`)

func leaseKey(n int) string { return "communityfeed:testenv:lease:" + strconv.Itoa(n) }

func (s *redisServer) flush(n int) error {
	options := *s.leases.Options()
	options.DB = n
	c := redis.NewClient(&options)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.FlushDB(ctx).Err()
}

// database is the server's URL with another database.
func (s *redisServer) database(n int) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url // not reached: it has been parsed before
	}
	u.Path = "/" + strconv.Itoa(n)
	return u.String()
}
