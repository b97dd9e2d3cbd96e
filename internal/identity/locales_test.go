package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.com/communityfeed/internal/identity"
)

func TestTheBestSupportedLocaleIsChosen(t *testing.T) {
	locales := identity.NewLocales()
	for _, tc := range []struct{ name, header, want string }{
		{"no header", "", "en"},
		{"exact", "de", "de"},
		{"regional variant", "de-AT", "de"},
		{"Brazilian Portuguese", "pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"},
		{"any case", "PT-br", "pt-BR"},
		{"Portuguese of elsewhere is nearer than nothing", "pt-PT", "pt-BR"},
		{"first of equals", "fr,de", "fr"},
		{"weights beat order", "fr;q=0.2, de;q=0.8", "de"},
		{"weights with spaces", "fr; q=0.2 , ja ;q=0.9", "ja"},
		{"zero is a refusal", "de;q=0, es;q=0.1", "es"},
		{"unsupported falls through to the next", "tlh, it;q=0.9, ja;q=0.1", "ja"},
		{"nothing supported", "zh-Hant-TW, ko", "en"},
		{"anything", "*", "en"},
		{"anything after a wish", "fr, *;q=0.1", "fr"},
		{"a part that makes no sense does not hide the rest", "!!, de;q=zwei, es", "es"},
		{"a weight above one is no weight", "de;q=7, es;q=0.5", "es"},
		{"a weight that is no number", "de;q=NaN, es;q=0.5", "es"},
		{"garbage", "\x00\xff;;;,,,q=", "en"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // the second answer is remembered
				if got := locales.Match(tc.header); got != tc.want {
					t.Errorf("%q gives %s, want %s", tc.header, got, tc.want)
				}
			}
		})
	}
}

func TestAHeaderOfAnyLengthIsAnsweredFromItsBeginning(t *testing.T) {
	locales := identity.NewLocales()
	for header, want := range map[string]string{
		"ja," + strings.Repeat("tlh,", 100_000) + "de":  "ja",
		strings.Repeat("x", 100_000):                    "en",
		strings.Repeat("tlh,", 62) + "x-abcdefghi,de":   "en", // the cut falls inside a tag
		strings.Repeat("-", 100_000) + ",de":            "en",
		"fr;q=0.5," + strings.Repeat("de-", 1000) + "x": "fr",
	} {
		if got := locales.Match(header); got != want {
			t.Errorf("%.20q… of %d bytes gives %s, want %s", header, len(header), got, want)
		}
	}
}

func TestManyHeadersAtOnceGetTheirOwnAnswers(t *testing.T) {
	locales := identity.NewLocales()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			want := identity.SupportedLocales()[i%6]
			for n := range 500 { // more distinct headers than are remembered
				if got := locales.Match(fmt.Sprintf("%s, x-%d-%d;q=0.1", want, i, n)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	all.Wait()
}

func TestARememberedHeaderAllocatesNothing(t *testing.T) {
	locales := identity.NewLocales()
	if n := testing.AllocsPerRun(100, func() { locales.Match("de-CH, de;q=0.9") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMatchAnswersWithASupportedLocale(f *testing.F) {
	f.Add("de-CH;q=0.9, *;q=0.1")
	locales := identity.NewLocales()
	f.Fuzz(func(t *testing.T, header string) {
		if got := locales.Match(header); !identity.Supported(got) {
			t.Errorf("%q gives %q", header, got)
		}
	})
}
