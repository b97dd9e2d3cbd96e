package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

func TestRedisServerOfTheMachineIsUsed(t *testing.T) {
	withRedisServer(t, "7.2.4")
	s, err := StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.About, "Redis 7.2.4 of ") {
		t.Errorf("About: %q", s.About)
	}
	ping(t, s.URL)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if listening(t, s.URL) {
		t.Error("the port is still taken")
	}
}

func TestRedisThatDiesIsNoticed(t *testing.T) {
	withRedisServer(t, "7.2.4")
	s, err := StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s.URL)
	_ = c.Do(t.Context(), "SHUTDOWN").Err() // the stand-in ends at once
	<-s.Done()
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "redis-server ended") {
		t.Errorf("Close: %v", err)
	}
}

func TestARedisServerThatIsTooOldIsPassedOver(t *testing.T) {
	withRedisServer(t, "6.0.16")
	s, err := StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.About, "miniredis") {
		t.Errorf("About: %q", s.About)
	}
}

func TestMiniredisForgetsByTheRealClock(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s, err := StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := client(t, s.URL)
	if err := c.Set(t.Context(), "short", "lived", 30*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := c.Get(t.Context(), "short").Err(); !errors.Is(err, redis.Nil) {
			return fmt.Errorf("still there (%v)", err)
		}
		return nil
	})
}

func withRedisServer(t *testing.T, version string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "redis-server")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("STAND_IN_REDIS_VERSION", version)
}

func standInRedis(args []string) {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Printf("Redis server v=%s sha=00000000:0\n", os.Getenv("STAND_IN_REDIS_VERSION"))
		os.Exit(0)
	}
	port := ""
	for i, arg := range args {
		if arg == "--port" {
			port = args[i+1]
		}
	}
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:" + port); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_ = m.Server().Register("SHUTDOWN", func(*server.Peer, string, []string) { os.Exit(0) })
	select {}
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ping(t *testing.T, url string) {
	t.Helper()
	if err := client(t, url).Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}
