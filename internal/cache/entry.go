package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// ids are the two fields of a tag in Redis: minted at every move, unique, and
// compared for equality only. A counter would not do: after a failover the new
// primary would issue a number again that was lost with the old one, and what was
// filled under the lost number would pass for fresh.
//
// They are two because a later change must not hide an earlier revocation.
type ids struct {
	change string
	revoke string
}

// after returns the ids that a move leaves of those that were there: what moveTag does,
// but for a tag that was missing, from which nothing follows.
func (then ids) after(revoke bool, minted string) ids {
	if revoke {
		then.revoke = minted
	} else {
		then.change = minted
	}
	return then
}

// state compares the ids that a copy was taken under with the ids of now. Absent
// ids equal nothing: a tag that Redis has lost reads as revoked, since nobody can
// tell any more what happened to it.
func (then ids) state(now ids) state {
	switch {
	case then.revoke == "" || then.revoke != now.revoke:
		return revoked
	case then.change == "" || then.change != now.change:
		return changed
	}
	return fresh
}

// stateOf compares the ids of all tags of a copy.
func stateOf(then, now []ids) state {
	if len(then) == 0 || len(then) != len(now) {
		return revoked
	}
	worst := fresh
	for i := range then {
		worst = max(worst, then[i].state(now[i]))
	}
	return worst
}

// An entry is a copy as it lies in L2:
//
//	"cf" 1 | CRC-32C of what follows | retention, fresh, cost | count, ids ... | body
//
// Durations are whole milliseconds; every number and length is a uvarint.
type entry struct {
	retention time.Duration // the time to live that the entry would have had at age zero
	fresh     time.Duration // how much of it was fresh, jitter included
	cost      time.Duration // how long the load took
	ids       []ids         // of the tags, as they were before the load, or as the write left them that made it of another
	body      []byte
}

var (
	entryMagic = [3]byte{'c', 'f', 1}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errCorrupt = errors.New("cache: entry is corrupt")
)

const entryPreamble = len(entryMagic) + crc32.Size

func (e *entry) encode() []byte {
	b := make([]byte, entryPreamble, entryPreamble+32+64*len(e.ids)+len(e.body))
	copy(b, entryMagic[:])
	for _, d := range []time.Duration{e.retention, e.fresh, e.cost} {
		b = binary.AppendUvarint(b, uint64(d.Milliseconds()))
	}
	b = appendIDs(b, e.ids)
	b = append(b, e.body...)
	binary.BigEndian.PutUint32(b[len(entryMagic):], crc32.Checksum(b[entryPreamble:], castagnoli))
	return b
}

// appendIDs appends the part of an entry that says under which ids it lies.
func appendIDs(b []byte, of []ids) []byte {
	b = binary.AppendUvarint(b, uint64(len(of)))
	for _, id := range of {
		b = appendString(b, id.change)
		b = appendString(b, id.revoke)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeEntry reads an entry. Anything but an intact entry of this format is
// errCorrupt, which callers treat as a miss. The body aliases b.
func decodeEntry(b []byte) (*entry, error) {
	if len(b) < entryPreamble || [3]byte(b) != entryMagic {
		return nil, errCorrupt
	}
	rest := b[entryPreamble:]
	if binary.BigEndian.Uint32(b[len(entryMagic):]) != crc32.Checksum(rest, castagnoli) {
		return nil, errCorrupt
	}
	r := reader{rest: rest}
	e := &entry{retention: r.duration(), fresh: r.duration(), cost: r.duration()}
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		e.ids = append(e.ids, ids{change: r.string(), revoke: r.string()})
	}
	if r.failed {
		return nil, errCorrupt
	}
	e.body = r.rest
	return e, nil
}

// reader takes an entry apart. After a failure it returns zero values.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) duration() time.Duration {
	ms := r.uvarint()
	if ms > uint64(maxRetention.Milliseconds())*2 {
		r.failed = true
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
