// Package events carries what happened from the domain that changed something
// to whoever must hear of it. It knows no event of its own: a domain declares
// its events as Go types and lists them as Kinds.
//
// Its invariant: an event exists exactly when its change does. Its row is
// written in the transaction of the change (the outbox) and counts as delivered
// only once every synchronous subscriber has taken it. What delivery right
// after the commit does not achieve stays in the table as an undelivered row,
// and the relay of whichever process comes first delivers it. So an event is
// delivered at least once, possibly twice, in no order between writers, and
// subscribers must bear that.
package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// ErrUnknownKind is the error of an event whose kind nobody here has declared:
// a row that another version of the service wrote, or an event type that its
// domain forgot to list.
var ErrUnknownKind = errors.New("unknown kind of event")

// ErrPoison is the error of an event that can never be delivered, however often
// it is tried: its row does not decode, or a synchronous subscriber that knows
// so answers with an error that wraps this one.
var ErrPoison = errors.New("event that can never be delivered")

// Kind ties an event's Go type to the name under which rows store it. The name
// outlives the process, so it does not follow a renamed type.
type Kind struct {
	name   string
	goType reflect.Type
	decode func(payload []byte) (any, error)
}

// KindOf declares the events of type E, stored under name ("feed.post_created")
// as JSON. E is a plain struct, and what is decoded from its row must equal
// what was emitted.
func KindOf[E any](name string) Kind {
	return Kind{
		name:   name,
		goType: reflect.TypeFor[E](),
		decode: func(payload []byte) (any, error) {
			var event E
			if err := json.Unmarshal(payload, &event); err != nil {
				return nil, err
			}
			return event, nil
		},
	}
}

// Name is the name under which rows store events of this kind.
func (k Kind) Name() string { return k.name }

// Zero is an event of this kind with nothing in it: for checking that a table
// by event type leaves none out.
func (k Kind) Zero() any { return reflect.Zero(k.goType).Interface() }

// Kinds are the events of one or more domains.
type Kinds []Kind

// registry finds kinds from both ends.
type registry struct {
	byName map[string]Kind
	byType map[reflect.Type]Kind
}

// newRegistry panics on a name or a type that is declared twice: rows would be
// decoded as something that they are not.
func newRegistry(kinds Kinds) registry {
	r := registry{byName: make(map[string]Kind), byType: make(map[reflect.Type]Kind)}
	for _, k := range kinds {
		if _, twice := r.byName[k.name]; twice {
			panic(fmt.Sprintf("events: kind %s is declared twice", k.name))
		}
		if _, twice := r.byType[k.goType]; twice {
			panic(fmt.Sprintf("events: %v is declared as two kinds", k.goType))
		}
		r.byName[k.name], r.byType[k.goType] = k, k
	}
	return r
}

// encode gives the row of an event.
func (r registry) encode(event any) (kind string, payload []byte, err error) {
	k, ok := r.byType[reflect.TypeOf(event)]
	if !ok {
		return "", nil, fmt.Errorf("%w: %T", ErrUnknownKind, event)
	}
	payload, err = json.Marshal(event)
	if err != nil {
		return "", nil, fmt.Errorf("encoding %s: %w", k.name, err)
	}
	return k.name, payload, nil
}

// decode gives the event of a row. The error is ErrUnknownKind, or ErrPoison
// where the kind is known and the payload is not such an event. A decoder that
// panics would take every process down that meets the row, so it only fails.
func (r registry) decode(kind string, payload []byte) (event any, err error) {
	k, ok := r.byName[kind]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKind, kind)
	}
	defer func() {
		if p := recover(); p != nil {
			event, err = nil, fmt.Errorf("decoding %s: %w: panic: %v", kind, ErrPoison, p)
		}
	}()
	event, err = k.decode(payload)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w: %w", kind, ErrPoison, err)
	}
	return event, nil
}

// names are the kinds that rows may have.
func (r registry) names() []string { return slices.Sorted(maps.Keys(r.byName)) }
