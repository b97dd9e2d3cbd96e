package identity

import "fmt"

// Dimensions is a set of the ways in which a response may differ by caller.
type Dimensions uint8

// The dimensions, in the order in which keys list them.
const (
	User Dimensions = 1 << iota
	Locale
	FeedV2
)

// HeaderFeedV2 switches the second version of the feed on when its value is
// "1"; the other dimensions come from Authorization and Accept-Language.
const HeaderFeedV2 = "X-FF-Feed-V2"

// dimensions is the one table that names them; its order is that of the bits.
var dimensions = [...]struct{ name, header string }{
	{"user", "Authorization"},
	{"locale", "Accept-Language"},
	{"feed_v2", HeaderFeedV2},
}

// Names lists the dimensions as keys spell them.
func (d Dimensions) Names() []string {
	var names []string
	for i, dim := range dimensions {
		if d&(1<<i) != 0 {
			names = append(names, dim.name)
		}
	}
	return names
}

// Headers lists the request headers behind the dimensions: what a response
// that depends on them must name in Vary.
func (d Dimensions) Headers() []string {
	var headers []string
	for i, dim := range dimensions {
		if d&(1<<i) != 0 {
			headers = append(headers, dim.header)
		}
	}
	return headers
}

// FromKey rebuilds the caller that a key describes. Only the declared
// dimensions are read from it, and only they can be read from the Caller. A
// value that Caller.Value never renders is an error: two spellings of one
// caller would be two entries for the same page.
func FromKey(key string, d Dimensions, get func(name string) string) (Caller, error) {
	c := Caller{scope: &scope{key: key, declared: d}}
	for i, dim := range dimensions {
		if d&(1<<i) == 0 {
			continue
		}
		value := get(dim.name)
		if err := c.set(1<<i, value); err != nil {
			return Caller{}, fmt.Errorf("key %s, %s: %w", key, dim.name, err)
		}
	}
	return c, nil
}

// set is the inverse of Value for one dimension.
func (c *Caller) set(d Dimensions, value string) error {
	switch d {
	case User:
		if value == anonymous {
			return nil
		}
		user, err := ParseUserID(value)
		if err != nil {
			return err
		}
		c.user = user
	case Locale:
		if !Supported(value) {
			return fmt.Errorf("%q is not a supported locale", value)
		}
		c.locale = value
	case FeedV2:
		if value != flagOn && value != flagOff {
			return fmt.Errorf("%q is not a flag: want 1 or 0", value)
		}
		c.feedV2 = value == flagOn
	}
	return nil
}
