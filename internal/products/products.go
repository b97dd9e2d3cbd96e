// Package products holds the catalogue: the queries, the handlers, the routes,
// the events and what each event makes stale. It is the twin of package feed, in
// the same files under the same names, for a domain with nothing personal in it:
// every page is the same for everybody, and says so to caches on the way.
//
// Its invariant: a list lies under exactly one tag, its category's or that of the
// whole catalogue. Whatever changes a product invalidates the catalogue and every
// category that the product is or was in, so no list is forgotten, and the lists
// of other categories stay as they are.
package products

import (
	"strconv"

	"example.com/communityfeed/internal/cache"
)

// ID is a product's number.
type ID int64

// Tag names the product's own page.
func (id ID) Tag() cache.Tag { return productTag(id.String()) }

func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// catalogue is the tag of the lists over all categories.
const catalogue cache.Tag = "products"

// Keys hold ids and categories as text, so a route's tags are made from text as
// well.
func productTag(id string) cache.Tag { return cache.Tag("product:" + id) }

// listTag is the tag of a category's lists, or, without one, of the catalogue's.
func listTag(category string) cache.Tag {
	if category == "" {
		return catalogue
	}
	return catalogue + cache.Tag(":"+category)
}

// Category is one of a closed set, so that nobody can fill a cache with lists of
// categories that do not exist.
type Category string

// Tag names the category's lists.
func (c Category) Tag() cache.Tag { return listTag(string(c)) }

var categories = [...]string{"books", "games", "garden", "kitchen", "music", "office", "sports", "toys"}

// Price is an amount of money in the minor unit of its currency, an ISO 4217
// code: 3749 EUR is 37.49 €.
type Price struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Fields is what an administrator says of a product.
type Fields struct {
	Name     string   `json:"name"`
	Category Category `json:"category"`
	Price    Price    `json:"price"`
	Stock    int32    `json:"stock"`
}

// Product is a product as everybody sees it.
type Product struct {
	ID ID `json:"id"`
	Fields
	Version int64 `json:"version"`
}
