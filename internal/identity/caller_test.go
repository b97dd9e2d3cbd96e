package identity_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/identity"
)

const every = identity.User | identity.Locale | identity.FeedV2

func TestTheZeroCallerIsAnonymousEnglishAndReadable(t *testing.T) {
	var c identity.Caller
	if c.User() != 0 || c.Admin() || c.Locale() != "en" || c.FeedV2() {
		t.Errorf("zero caller: user %v, admin %v, locale %s, feedV2 %v", c.User(), c.Admin(), c.Locale(), c.FeedV2())
	}
	if got := identity.From(context.Background()); got != c {
		t.Errorf("a context without a caller gives %+v", got)
	}
}

func TestACallerTravelsOnAContext(t *testing.T) {
	want := identity.NewCaller(42, identity.Admin, "pt-BR", true)
	got := identity.From(identity.With(context.Background(), want))
	if got != want || got.User() != 42 || !got.Admin() || got.Locale() != "pt-BR" || !got.FeedV2() {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNewCallerAdmitsOnlyWhatAKeyCanSpell(t *testing.T) {
	c := identity.NewCaller(-7, identity.Admin, "tlh", false)
	if c.User() != 0 || c.Admin() || c.Locale() != "en" {
		t.Errorf("got user %v, admin %v, locale %s; want nobody, not an admin, en", c.User(), c.Admin(), c.Locale())
	}
}

func TestEachDimensionRendersAndParsesBack(t *testing.T) {
	for _, user := range []identity.UserID{0, 1, 42, 1<<63 - 1} {
		for _, locale := range identity.SupportedLocales() {
			for _, v2 := range []bool{false, true} {
				want := identity.NewCaller(user, "", locale, v2)
				values := map[string]string{
					"user":    want.Value(identity.User),
					"locale":  want.Value(identity.Locale),
					"feed_v2": want.Value(identity.FeedV2),
				}
				got, err := identity.FromKey("k/1", every, func(name string) string { return values[name] })
				if err != nil {
					t.Fatalf("%v: %v", values, err)
				}
				if got.User() != want.User() || got.Locale() != want.Locale() || got.FeedV2() != want.FeedV2() {
					t.Errorf("%v came back as %v %s %v", values, got.User(), got.Locale(), got.FeedV2())
				}
			}
		}
	}
}

func TestAKeyRefusesValuesThatNoCallerRenders(t *testing.T) {
	for _, tc := range []struct {
		d     identity.Dimensions
		value string
	}{
		{identity.User, ""}, {identity.User, "0"}, {identity.User, "-1"}, {identity.User, "+1"},
		{identity.User, "042"}, {identity.User, " 42"}, {identity.User, "4_2"}, {identity.User, "Anon"},
		{identity.User, "9223372036854775808"},
		{identity.Locale, ""}, {identity.Locale, "EN"}, {identity.Locale, "pt-br"}, {identity.Locale, "it"},
		{identity.FeedV2, ""}, {identity.FeedV2, "true"}, {identity.FeedV2, "2"},
	} {
		if c, err := identity.FromKey("k/1", tc.d, func(string) string { return tc.value }); err == nil {
			t.Errorf("%v = %q gave %+v, want an error", tc.d.Names(), tc.value, c)
		}
	}
}

func TestReadingWhatAKeyDoesNotDeclarePanicsAndNamesBoth(t *testing.T) {
	reads := map[string]func(identity.Caller){
		"user":    func(c identity.Caller) { c.User() },
		"locale":  func(c identity.Caller) { c.Locale() },
		"feed_v2": func(c identity.Caller) { c.FeedV2() },
		"admin":   func(c identity.Caller) { c.Admin() },
	}
	values := map[string]string{"user": "42", "locale": "de", "feed_v2": "1"}
	for d := identity.Dimensions(0); d <= every; d++ {
		caller, err := identity.FromKey("feed.page/1", d, func(name string) string { return values[name] })
		if err != nil {
			t.Fatal(err)
		}
		declared := map[string]bool{}
		for _, name := range d.Names() {
			declared[name] = true
		}
		for name, read := range reads {
			var want error
			if !declared[name] {
				want = &identity.UndeclaredError{Key: "feed.page/1", Dimension: name}
			}
			if diff := cmp.Diff(want, panicOf(func() { read(caller) })); diff != "" {
				t.Errorf("declared %v, read %s (-want +got):\n%s", d.Names(), name, diff)
			}
		}
	}
}

func TestFromKeyAsksOnlyForDeclaredDimensions(t *testing.T) {
	_, err := identity.FromKey("k/1", identity.Locale, func(name string) string {
		if name != "locale" {
			t.Errorf("asked for %s", name)
		}
		return "ja"
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDimensionsKeepOneOrder(t *testing.T) {
	if diff := cmp.Diff([]string{"user", "locale", "feed_v2"}, every.Names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Authorization", "X-FF-Feed-V2"}, (identity.FeedV2 | identity.User).Headers()); diff != "" {
		t.Error(diff)
	}
}

func TestRenderingAnAnonymousCallerAllocatesNothing(t *testing.T) {
	c := identity.NewCaller(0, "", "de", true)
	if n := testing.AllocsPerRun(100, func() {
		c.Value(identity.User)
		c.Value(identity.Locale)
		c.Value(identity.FeedV2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// panicOf returns the error that f panics with, or nil.
func panicOf(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err, _ = p.(error)
			if err == nil {
				err = errors.New("a panic that is no error")
			}
		}
	}()
	f()
	return nil
}
