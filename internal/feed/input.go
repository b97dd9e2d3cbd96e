package feed

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// How long texts may be, in characters. The schema says the same.
const (
	maxName  = 100
	maxTitle = 200
	maxBody  = 10_000
)

// Text is what somebody wrote: of a post, or of its translation.
type Text struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

func (t Text) validate() error {
	var wrong problem.Fields
	t.check(&wrong)
	return wrong.Err()
}

func (t Text) check(wrong *problem.Fields) {
	checkText(wrong, "title", t.Title, maxTitle)
	checkText(wrong, "body", t.Body, maxBody)
}

// TextEdit changes the parts of a Text that it names.
type TextEdit struct {
	Title *string `json:"title"`
	Body  *string `json:"body"`
}

func (e TextEdit) validate() error {
	// What is not edited needs no check: any text that is fine stands in for it.
	return e.apply(Text{Title: "-", Body: "-"}).validate()
}

func (e TextEdit) apply(t Text) Text {
	if e.Title != nil {
		t.Title = *e.Title
	}
	if e.Body != nil {
		t.Body = *e.Body
	}
	return t
}

// newPost is the body of a request to post. Locale is the language of the text;
// without it, it is the one that the request was negotiated to.
type newPost struct {
	Text
	Locale string `json:"locale"`
}

func (n newPost) validate() error {
	var wrong problem.Fields
	n.check(&wrong)
	wrong.Check(identity.Supported(n.Locale), "locale", localeMessage())
	return wrong.Err()
}

// newCommunity is the body of a request to begin a community, public unless it
// says otherwise.
type newCommunity struct {
	Name       string     `json:"name"`
	Visibility Visibility `json:"visibility"`
}

func (n newCommunity) validate() error {
	var wrong problem.Fields
	checkText(&wrong, "name", n.Name, maxName)
	wrong.Check(n.Visibility == Public || n.Visibility == Private, "visibility",
		fmt.Sprintf("must be %q or %q", Public, Private))
	return wrong.Err()
}

// checkText wants something to read, no longer than limit, and without the one
// character that Postgres cannot store.
func checkText(wrong *problem.Fields, field, text string, limit int) {
	wrong.Check(strings.TrimSpace(text) != "", field, "must not be empty")
	wrong.Check(utf8.RuneCountInString(text) <= limit, field, fmt.Sprintf("must not be longer than %d characters", limit))
	wrong.Check(!strings.ContainsRune(text, 0), field, "must not contain the character U+0000")
}

func localeMessage() string {
	return "must be one of " + strings.Join(identity.SupportedLocales(), ", ")
}
