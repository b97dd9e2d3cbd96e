package main

import (
	"fmt"
	"io"
	"time"

	"example.com/communityfeed/internal/identity"
)

type tryCmd struct {
	signer
	First  string `default:"http://localhost:8080" placeholder:"URL" help:"A server with demo data."`
	Second string `placeholder:"URL" help:"Another one on the same database and Redis, if there is one."`
}

// Run prints the lines.
func (c *tryCmd) Run(out streams) error {
	if c.Second == "" {
		c.Second = c.First
	}
	return writeTries(out.Out, c.Secret, c.First, c.Second)
}

// writeTries prints three lines for a shell, each of which shows one idea of the
// service on two servers that share demo data. They work as often as one likes.
func writeTries(w io.Writer, secret, first, second string) error {
	const good = 7 * 24 * time.Hour
	user, err := identity.Sign(secret, 42, "", good)
	if err != nil {
		return err
	}
	admin, err := identity.Sign(secret, 1, identity.Admin, good)
	if err != nil {
		return err
	}
	asUser := "-H 'Authorization: Bearer " + user + "' -H 'Accept-Language: de'"
	asAdmin := "-H 'Authorization: Bearer " + admin + "'"
	page := "'" + first + "/api/communities/%d/posts?limit=10'"
	// The status, the cache's word on it, and how the body begins.
	const glance = `| grep -Ei '^(HTTP|X-Cache|\{)' | cut -c1-130`

	_, err = fmt.Fprintf(w, `1. A page made for user 42, in German: MISS, then HIT.

for i in 1 2; do curl -si %[1]s %[3]s %[6]s; done

2. What is posted through one server is at once on a page that the other one had cached.

curl -so /dev/null %[1]s %[3]s; curl -so /dev/null %[1]s -H 'Content-Type: application/json' -d '{"title":"Hallo vom anderen Server","body":"Gerade erst geschrieben."}' %[5]s/api/communities/12/posts; curl -si %[1]s %[3]s %[6]s

3. An administrator lets user 42 into a private community, and out again: a page appears, is cached, and is gone at once.

for m in PUT DELETE; do curl -s -X $m %[2]s %[5]s/api/communities/13/members/42; curl -so /dev/null %[1]s %[4]s; curl -si %[1]s %[4]s %[6]s; done
`, asUser, asAdmin, fmt.Sprintf(page, 12), fmt.Sprintf(page, 13), second, glance)
	return err
}
