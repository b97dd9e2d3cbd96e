package fence

// A Tag names something that a write can change: "community:12", "user:42".
type Tag string

// Everything is the tag that every copy has besides its own. Invalidating it purges the
// cache.
const Everything Tag = "*"

// IDs are the two fields of a tag in Redis. They are minted at every invalidation, unique,
// and compared for equality only. A counter would not do: after a failover the new primary
// would issue a number again that was lost with the old one, and what was filled under the
// lost number would pass for fresh.
//
// They are two because a later change must not hide an earlier revocation.
type IDs struct {
	Change string // of the last change
	Revoke string // of the last revocation
}

// After returns the ids that an invalidation leaves of those that were there. Nothing
// follows for a tag that was missing.
func (then IDs) After(revoke bool, minted string) IDs {
	if revoke {
		then.Revoke = minted
	} else {
		then.Change = minted
	}
	return then
}

// Since compares the ids that a copy was read under with the ids of now. Absent ids equal
// nothing: a tag that Redis has lost reads as revoked, because what happened to it is not
// known any more.
func (then IDs) Since(now IDs) State {
	switch {
	case then.Revoke == "" || then.Revoke != now.Revoke:
		return Revoked
	case then.Change == "" || then.Change != now.Change:
		return Changed
	}
	return Fresh
}

// Since compares the ids of all tags of a copy. The worst state counts.
func Since(then, now []IDs) State {
	if len(then) == 0 || len(then) != len(now) {
		return Revoked
	}
	worst := Fresh
	for i := range then {
		worst = max(worst, then[i].Since(now[i]))
	}
	return worst
}

// A State is what has become of a copy. The order is from best to worst, so the state of a
// copy under several tags is the maximum over them.
type State int

const (
	Fresh   State = iota // nothing happened to it
	Expired              // its time has passed
	Changed              // a tag was invalidated as changed
	Revoked              // a tag was invalidated as revoked
)

func (s State) String() string { return [...]string{"fresh", "expired", "changed", "revoked"}[s] }
