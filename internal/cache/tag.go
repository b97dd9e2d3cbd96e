package cache

import "reflect"

// A Tag names something that a write can change: "community:12", "user:42".
type Tag string

// Everything is the tag that every entry carries besides its own. Moving it
// purges the cache.
const Everything Tag = "*"

// A Move says what happened to some tags. The zero Move moves nothing.
type Move struct {
	Tags   []Tag
	Revoke bool // withdrawn: what lies under the tags is not served again, not even when the load fails
}

// Changed is a move of tags whose content is no longer up to date. An old copy
// may still be served when the load fails.
func Changed(tags ...Tag) Move { return Move{Tags: tags} }

// Revoked is a move of tags whose content was withdrawn: a deleted post, a
// removed member. An old copy is never served again.
func Revoked(tags ...Tag) Move { return Move{Tags: tags, Revoke: true} }

// Rules is a table from events to moves: all that the cache needs to know about
// the writes of a domain.
type Rules []Rule

// A Rule turns events of one type into moves. Make it with [On].
type Rule struct {
	event reflect.Type
	move  func(event any) Move
}

// On makes the rule for events of type E.
func On[E any](move func(E) Move) Rule {
	return Rule{reflect.TypeFor[E](), func(event any) Move { return move(event.(E)) }}
}

// Move returns what an event moves, and whether the table has a rule for it.
func (r Rules) Move(event any) (Move, bool) {
	t := reflect.TypeOf(event)
	for _, rule := range r {
		if rule.event == t {
			return rule.move(event), true
		}
	}
	return Move{}, false
}
