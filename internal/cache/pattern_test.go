package cache

import (
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/communityfeed/internal/testenv"
)

// A pattern that is given by hand means the same to a process's pages as to Redis, also
// where it is malformed.
func TestAPatternFitsPagesAsItFitsWhatRedisHolds(t *testing.T) {
	m := join(t, testenv.Redis(t), testenv.Prefix(t), testPolicy, nil)
	tier := m.l2
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
	fitted := 0
	patterns := []string{"[a-b]*", "[c-a]*", "[^b-a]*", `*[\]]*`, `*\**`, "[a", "[^", `a\`, "*a*b*", "[a-]*", "[]a]*", "**"}
	for len(patterns) < 500 {
		patterns = append(patterns, draw(`abc**?[[]]^-\`, 8))
	}
	for _, pattern := range patterns {
		found := make(map[string]bool)
		if err := tier.scan(t.Context(), pattern, func(page []string) error {
			for _, key := range page {
				found[key] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if got := fits(pattern+"}", key+"}"); got != found[key] {
				t.Errorf("%q fits %q: %v, and for Redis %v", pattern, key, got, found[key])
			} else if got {
				fitted++
			}
		}
	}
	if fitted < 1000 {
		t.Errorf("only %d pairs fit", fitted)
	}
}
