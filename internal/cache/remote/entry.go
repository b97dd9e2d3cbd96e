package remote

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"example.com/communityfeed/internal/cache/fence"
)

// An Entry is a copy in L2. It is stored as
//
//	"cf" 1 | CRC-32C of what follows | retention, fresh, cost | count, ids ... | body
//
// Durations are whole milliseconds; every number and length is a uvarint.
type Entry struct {
	Retention time.Duration // the time to live that the entry would have had at age zero
	Fresh     time.Duration // how much of it was fresh, jitter included
	Cost      time.Duration // how long the load took
	IDs       []fence.IDs   // of the tags: from before the load, or from after the write that made it of another
	Body      []byte
}

var (
	entryMagic = [3]byte{'c', 'f', 1}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errCorrupt = errors.New("cache: entry is corrupt")
)

const entryPreamble = len(entryMagic) + crc32.Size

func (e *Entry) encode() []byte {
	b := make([]byte, entryPreamble, entryPreamble+32+64*len(e.IDs)+len(e.Body))
	copy(b, entryMagic[:])
	for _, d := range []time.Duration{e.Retention, e.Fresh, e.Cost} {
		b = binary.AppendUvarint(b, uint64(d.Milliseconds()))
	}
	b = appendIDs(b, e.IDs)
	b = append(b, e.Body...)
	binary.BigEndian.PutUint32(b[len(entryMagic):], crc32.Checksum(b[entryPreamble:], castagnoli))
	return b
}

// appendIDs appends the part of an entry that has its ids.
func appendIDs(b []byte, of []fence.IDs) []byte {
	b = binary.AppendUvarint(b, uint64(len(of)))
	for _, ids := range of {
		b = appendString(b, ids.Change)
		b = appendString(b, ids.Revoke)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeEntry reads an entry. Anything but an intact entry of this format is errCorrupt,
// which callers treat as a miss. The body aliases b.
func decodeEntry(b []byte) (*Entry, error) {
	if len(b) < entryPreamble || [3]byte(b) != entryMagic {
		return nil, errCorrupt
	}
	rest := b[entryPreamble:]
	if binary.BigEndian.Uint32(b[len(entryMagic):]) != crc32.Checksum(rest, castagnoli) {
		return nil, errCorrupt
	}
	d := decoder{rest: rest}
	e := &Entry{Retention: d.duration(), Fresh: d.duration(), Cost: d.duration()}
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		e.IDs = append(e.IDs, fence.IDs{Change: d.string(), Revoke: d.string()})
	}
	if d.failed {
		return nil, errCorrupt
	}
	e.Body = d.rest
	return e, nil
}

// A decoder takes an entry apart. After a failure it returns zero values.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) duration() time.Duration {
	ms := d.uvarint()
	if ms > uint64(MaxRetention.Milliseconds())*2 {
		d.failed = true
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
