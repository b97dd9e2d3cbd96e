package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"example.com/communityfeed/internal/identity"
)

// developmentSecret signs tokens on machines where nothing is at stake. Everybody
// can read it here, so a server takes it only when told --dev. Signing with it
// needs no such word: a token that only such a server takes opens nothing.
const developmentSecret = "communityfeed development secret: not for production"

// secret is the one that a server checks tokens with. It must be chosen.
type secret struct {
	Secret string `name:"jwt-secret" env:"JWT_SECRET" placeholder:"SECRET" help:"Required without --dev: signs tokens and cursors. At least 32 bytes, the same for every server."`
	Dev    bool   `env:"DEV_MODE" help:"Without --jwt-secret, take the development secret, which everybody knows."`
}

// Validate is called by the commands. No error shows the secret.
func (s *secret) Validate() error {
	switch {
	case s.Secret == "" && s.Dev:
		s.Secret = developmentSecret
	case s.Secret == "":
		return errors.New("--jwt-secret (JWT_SECRET) is missing; --dev does without, where nothing is at stake")
	case s.Secret == developmentSecret && !s.Dev:
		return errors.New("--jwt-secret (JWT_SECRET) is the development secret, which everybody knows: give another one, or --dev")
	}
	return checkSecret(s.Secret)
}

func checkSecret(secret string) error {
	if len(secret) < identity.MinSecret {
		return fmt.Errorf("--jwt-secret (JWT_SECRET) has %d bytes; at least %d are needed", len(secret), identity.MinSecret)
	}
	return nil
}

// signer is the secret that a command signs with.
type signer struct {
	Secret string `name:"jwt-secret" env:"JWT_SECRET" placeholder:"SECRET" help:"The server's; without it, the development secret."`
}

// Validate is called by the commands.
func (s *signer) Validate() error {
	s.Secret = cmp.Or(s.Secret, developmentSecret)
	return checkSecret(s.Secret)
}

type tokenCmd struct {
	signer
	User int64         `required:"" placeholder:"ID" help:"Whose token: the number of a user."`
	Role string        `enum:",admin" default:"" placeholder:"ROLE" help:"admin, or nothing."`
	TTL  time.Duration `default:"24h" placeholder:"DURATION" help:"How long it is good for."`
}

// Validate is called by kong.
func (c *tokenCmd) Validate() error {
	switch {
	case c.User < 1:
		return errors.New("--user must be the number of a user")
	case c.TTL < time.Second:
		return errors.New("--ttl must be at least 1s")
	}
	return c.signer.Validate()
}

// Run prints the token and nothing else, so that $(api token …) is one.
func (c *tokenCmd) Run(out streams) error {
	token, err := identity.Sign(c.Secret, identity.UserID(c.User), identity.Role(c.Role), c.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.Out, token)
	return err
}
