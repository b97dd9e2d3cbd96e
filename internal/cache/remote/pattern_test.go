package remote

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/communityfeed/internal/testenv"
)

// A pattern that is given by hand means the same to a process's pages as to Redis, also
// where it is malformed.
func TestMain(m *testing.M) { testenv.Main(m) }

func TestAPatternMatchesPagesAsItMatchesWhatRedisHolds(t *testing.T) {
	tier, err := Open(testenv.Redis(t), Options{Prefix: testenv.Prefix(t), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tier.Close() })
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(alphabet string, most int) string {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	keys := []string{""}
	for len(keys) < 300 {
		key := draw(`abc|/-*[]^\?`, 6)
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if err := tier.client.Set(t.Context(), tier.entryKey(key), "", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	matched := 0
	patterns := []string{"[a-b]*", "[c-a]*", "[^b-a]*", `*[\]]*`, `*\**`, "[a", "[^", `a\`, "*a*b*", "[a-]*", "[]a]*", "**"}
	for len(patterns) < 500 {
		patterns = append(patterns, draw(`abc**?[[]]^-\`, 8))
	}
	for _, pattern := range patterns {
		found := make(map[string]bool)
		if err := tier.Scan(t.Context(), pattern, func(page []string) error {
			for _, key := range page {
				found[key] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if got := Matches(pattern, key); got != found[key] {
				t.Errorf("%q matches %q: %v, and for Redis %v", pattern, key, got, found[key])
			} else if got {
				matched++
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d pairs match", matched)
	}
}
