package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenName is the issuer and the audience of this service's tokens.
const tokenName = "communityfeed"

const (
	// MinSecret is the shortest signing secret in bytes: RFC 7518, 3.2 wants a
	// key at least as long as the hash.
	MinSecret = sha256.Size

	maxToken         = 4 << 10 // bytes
	rememberedTokens = 10_000
)

// ErrExpired is the error of a token that was good once.
var ErrExpired = errors.New("the token has expired")

// claims are what a token says. Whatever else stands in it is not looked at.
type claims struct {
	jwt.RegisteredClaims
	Role Role `json:"role,omitempty"`
}

// VerifierOptions may be left zero.
type VerifierOptions struct {
	// Remember is how many verified tokens are kept at least, and half of how many at
	// most; 0 is 10,000.
	Remember int
}

// Verifier checks bearer tokens. A full check costs more than all the rest of
// a cache hit, so tokens found good are remembered, by their whole text; their end is
// looked at each time. A comparison of whole texts, whose time could tell something,
// comes only after one of hashes, of a seed that nobody outside knows. Who can read this
// memory finds the signing secret there anyway. Tokens found bad are not remembered: an
// attacker has an endless supply of them.
type Verifier struct {
	secret     []byte
	remembered *remembered[verified]
}

type verified struct {
	user    UserID
	role    Role
	expires time.Time
}

// NewVerifier returns a verifier of tokens that Sign makes with this secret,
// which is at least MinSecret bytes long.
func NewVerifier(secret string, o VerifierOptions) (*Verifier, error) {
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	if o.Remember == 0 {
		o.Remember = rememberedTokens
	}
	return &Verifier{secret: []byte(secret), remembered: remember[verified](o.Remember)}, nil
}

// Verify returns whose token it is, at a time that the caller has read from the clock
// already. Every error means that the bearer is to be refused, never that the caller is
// nobody; ErrExpired is among them.
func (v *Verifier) Verify(token string, at time.Time) (UserID, Role, error) {
	if len(token) > maxToken {
		return 0, "", fmt.Errorf("a token of %d bytes is longer than %d", len(token), maxToken)
	}
	known, ok := v.remembered.get(token)
	if !ok {
		var err error
		if known, err = v.verify(token, at); err != nil {
			return 0, "", err
		}
		v.remembered.add(token, known)
	}
	if !at.Before(known.expires) {
		return 0, "", ErrExpired
	}
	return known.user, known.role, nil
}

func (v *Verifier) verify(token string, at time.Time) (verified, error) {
	parser := jwt.NewParser(
		// The header of a token is the attacker's: it does not choose how the token
		// is checked.
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(tokenName),
		jwt.WithAudience(tokenName),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return at }),
	)
	var c claims
	_, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return v.secret, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return verified{}, ErrExpired
	case err != nil:
		return verified{}, fmt.Errorf("verifying the token: %w", err)
	}
	user, err := ParseUserID(c.Subject)
	if err != nil {
		return verified{}, fmt.Errorf("the token's subject: %w", err)
	}
	return verified{user: user, role: c.Role, expires: c.ExpiresAt.Time}, nil
}

// Sign makes a token for the user that is good for ttl from now.
func Sign(secret string, user UserID, role Role, ttl time.Duration) (string, error) {
	if err := checkSecret(secret); err != nil {
		return "", err
	}
	if user <= 0 {
		return "", fmt.Errorf("a token needs a user: %d is nobody", int64(user))
	}
	if ttl < time.Second {
		return "", fmt.Errorf("a token good for %v is of no use: a second is the least", ttl)
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    tokenName,
			Audience:  jwt.ClaimStrings{tokenName},
			Subject:   user.String(),
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Role: role,
	})
	signed, err := token.SignedString([]byte(secret))
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed, nil
}

func checkSecret(secret string) error {
	if len(secret) < MinSecret {
		return fmt.Errorf("a signing secret of %d bytes is too short: HS256 wants at least %d", len(secret), MinSecret)
	}
	return nil
}
