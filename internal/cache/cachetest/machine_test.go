package cachetest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/report"
)

// machine says on what the figures were measured.
func machine(t testing.TB, redisURL string) string {
	t.Helper()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	return report.Machine() + ", Redis " + info["Server"]["redis_version"]
}
