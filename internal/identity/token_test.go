package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/communityfeed/internal/identity"
)

var secret = strings.Repeat("s", identity.MinSecret)

func newVerifier(t *testing.T, o identity.VerifierOptions) *identity.Verifier {
	t.Helper()
	v, err := identity.NewVerifier(secret, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestASignedTokenNamesItsUserAndRole(t *testing.T) {
	v := newVerifier(t, identity.VerifierOptions{})
	for _, role := range []identity.Role{"", identity.Admin} {
		token, err := identity.Sign(secret, 42, role, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // checked, then remembered
			user, gotRole, err := v.Verify(token, time.Now())
			if err != nil || user != 42 || gotRole != role {
				t.Errorf("got user %v, role %q, error %v; want 42, %q", user, gotRole, err, role)
			}
		}
	}
}

// forge signs claims as nobody should.
func forge(t *testing.T, method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": "communityfeed", "aud": "communityfeed", "sub": "42",
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	change(claims)
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestABadTokenIsRefused(t *testing.T) {
	keep := func(jwt.MapClaims) {}
	with := func(claim string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[claim] = value }
	}
	without := func(claim string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, claim) } }
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hs := func(change func(jwt.MapClaims)) string {
		return forge(t, jwt.SigningMethodHS256, []byte(secret), change)
	}
	good := hs(keep)
	parts := strings.Split(good, ".")

	for name, token := range map[string]string{
		"empty":                    "",
		"no token at all":          "hello",
		"two parts":                parts[0] + "." + parts[1],
		"another secret":           forge(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), keep),
		"algorithm none":           forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, keep),
		"HS512":                    forge(t, jwt.SigningMethodHS512, []byte(secret), keep),
		"RS256":                    forge(t, jwt.SigningMethodRS256, rsaKey, keep),
		"signature cut off":        parts[0] + "." + parts[1] + ".",
		"claims of another":        parts[0] + "." + strings.Split(hs(with("sub", "43")), ".")[1] + "." + parts[2],
		"padding":                  good + "=",
		"trailing space":           good + " ",
		"another issuer":           hs(with("iss", "elsewhere")),
		"no issuer":                hs(without("iss")),
		"another audience":         hs(with("aud", "elsewhere")),
		"no audience":              hs(without("aud")),
		"no expiry":                hs(without("exp")),
		"expired":                  hs(with("exp", time.Now().Add(-time.Second).Unix())),
		"expiry that is no number": hs(with("exp", "tomorrow")),
		"not yet valid":            hs(with("nbf", time.Now().Add(time.Hour).Unix())),
		"no subject":               hs(without("sub")),
		"subject zero":             hs(with("sub", "0")),
		"negative subject":         hs(with("sub", "-42")),
		"subject not decimal":      hs(with("sub", "0x2a")),
		"second spelling":          hs(with("sub", "042")),
		"a name for subject":       hs(with("sub", "anon")),
		"number for subject":       hs(with("sub", 42)),
		"far too long":             hs(with("pad", strings.Repeat("x", 8<<10))),
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, identity.VerifierOptions{})
			if _, _, err := v.Verify(good, time.Now()); err != nil {
				t.Fatalf("the token it is derived from: %v", err)
			}
			for range 2 {
				if user, role, err := v.Verify(token, time.Now()); err == nil || user != 0 || role != "" {
					t.Errorf("got user %v, role %q, error %v; want a refusal", user, role, err)
				}
			}
		})
	}
}

func TestARememberedTokenEndsWithItsExpiry(t *testing.T) {
	v := newVerifier(t, identity.VerifierOptions{})
	expires := time.Now().Add(time.Minute).Truncate(time.Second)
	token := forge(t, jwt.SigningMethodHS256, []byte(secret), func(c jwt.MapClaims) { c["exp"] = expires.Unix() })

	if _, _, err := v.Verify(token, expires.Add(-time.Nanosecond)); err != nil {
		t.Fatalf("a moment before its expiry: %v", err)
	}
	for range 2 {
		if _, _, err := v.Verify(token, expires); !errors.Is(err, identity.ErrExpired) {
			t.Errorf("at its expiry: %v, want ErrExpired", err)
		}
	}
}

func TestATokenIsHeldAgainstTheTimeThatIsGiven(t *testing.T) {
	lastYear := time.Now().AddDate(-1, 0, 0)
	token := forge(t, jwt.SigningMethodHS256, []byte(secret), func(c jwt.MapClaims) { c["exp"] = lastYear.Add(time.Hour).Unix() })
	if _, _, err := newVerifier(t, identity.VerifierOptions{}).Verify(token, lastYear); err != nil {
		t.Errorf("last year: %v", err)
	}
	if _, _, err := newVerifier(t, identity.VerifierOptions{}).Verify(token, time.Now()); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("now: %v, want ErrExpired", err)
	}
}

func TestMoreTokensThanAreRememberedAllWork(t *testing.T) {
	v := newVerifier(t, identity.VerifierOptions{Remember: 2})
	for round := range 2 {
		for user := identity.UserID(1); user <= 5; user++ {
			token, err := identity.Sign(secret, user, "", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := v.Verify(token, time.Now()); err != nil || got != user {
				t.Errorf("round %d: got %v, %v; want %v", round, got, err, user)
			}
		}
	}
}

func TestASecretShorterThanTheHashIsRefused(t *testing.T) {
	if _, err := identity.NewVerifier(secret[1:], identity.VerifierOptions{}); err == nil {
		t.Error("NewVerifier took it")
	}
	if _, err := identity.Sign(secret[1:], 1, "", time.Hour); err == nil {
		t.Error("Sign took it")
	}
}

func TestNobodyGetsAToken(t *testing.T) {
	if _, err := identity.Sign(secret, 0, "", time.Hour); err == nil {
		t.Error("Sign made a token for user 0")
	}
	if _, err := identity.Sign(secret, 1, "", 0); err == nil {
		t.Error("Sign made a token that is never good")
	}
}

func TestARememberedTokenAllocatesNothing(t *testing.T) {
	v := newVerifier(t, identity.VerifierOptions{})
	token, err := identity.Sign(secret, 42, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { v.Verify(token, time.Now()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerifyARememberedToken(b *testing.B) {
	v, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		b.Fatal(err)
	}
	token, err := identity.Sign(secret, 42, "", time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.Verify(token, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
