package cachetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"
)

// server is what can be said of Redis from outside: the mode it is in, and a copy
// of who holds which lease, kept by watching what it answers.
type server struct {
	mode   serverMode
	leases map[string]heldLease // by key
	copied *stateCopy           // what a replica has, for a failover
}

type serverMode int

const (
	healthy serverMode = iota
	outOfMemory
	loading
)

func (m serverMode) String() string { return [...]string{"healthy", "out of memory", "loading"}[m] }

type heldLease struct {
	p     *process
	token string
	until time.Time
}

// execute serves one command and returns the reply. Messages that it causes are
// put at gates.
func (s *sim) execute(c *conn, cmd command, v verdict) []byte {
	verb := cmd.verb()
	switch {
	case v == refusedByServer:
		return []byte("-ERR no luck\r\n")
	case s.mode == loading && !c.sub:
		return []byte("-LOADING Redis is loading the dataset in memory\r\n")
	case s.mode == outOfMemory && slices.Contains([]string{"SET", "take", "move", "snapshot", "store", "replace"}, verb):
		return []byte("-OOM command not allowed when used memory > 'maxmemory'.\r\n")
	}
	if _, err := c.server.Write(cmd.raw); err != nil {
		return nil
	}
	synctest.Wait()
	if c.sub {
		s.fetch(c, false, "")
		if verb == "SUBSCRIBE" {
			c.subscribed = true
			s.oracle.subscribed(c.p)
		}
		return nil
	}
	c.mu.Lock()
	reply := c.said
	c.said = nil
	c.mu.Unlock()
	s.observe(c, cmd, verb, string(reply))
	return reply
}

// observe keeps the books of leases and moves.
func (s *sim) observe(c *conn, cmd command, verb, reply string) {
	key := strings.TrimPrefix(strings.TrimPrefix(cmd.key(), "e:"), "l:")
	held := s.leases[key]
	free := held.token == "" || !time.Now().Before(held.until)
	switch verb {
	case "SET":
		if !strings.HasPrefix(reply, "+OK") {
			return
		}
		if !free {
			s.violate("%s got the lease of %s, which is held", c.p, key)
		}
		s.leases[key] = heldLease{c.p, cmd.args[2], time.Now().Add(5 * time.Second)}
		return
	case "take":
		if !strings.HasPrefix(reply, ":1") {
			return
		}
		if !free && (held.p != c.p || !slices.Contains(cmd.scriptArgs(3), held.token)) {
			s.violate("%s took the lease of %s, which %s holds", c.p, key, held.p)
		}
		s.leases[key] = heldLease{c.p, cmd.scriptArg(1), time.Now().Add(5 * time.Second)}
		return
	case "store":
		if !strings.HasPrefix(reply, ":1") {
			return
		}
		s.stores++
		if free || held.token != cmd.scriptArg(1) {
			s.violate("%s stored %s without its lease", c.p, key)
		}
		delete(s.leases, key)
		life, _ := strconv.Atoi(cmd.scriptArg(3))
		s.oracle.stored(c.p, key, cmd.scriptArg(2), time.Duration(life)*time.Millisecond)
	case "replace":
		if !strings.HasPrefix(reply, ":1") {
			return
		}
		s.stores++
		if !free && (held.p != c.p || !slices.Contains(cmd.scriptArgs(6), held.token)) && s.redis.Exists(prefix+"l:"+key) {
			s.violate("%s replaced %s, which %s fills", c.p, key, held.p)
		}
		delete(s.leases, key)
		life, _ := strconv.Atoi(cmd.scriptArg(3))
		s.oracle.stored(c.p, key, cmd.scriptArg(2), time.Duration(life)*time.Millisecond)
		for _, sub := range s.conns {
			if sub.sub {
				s.fetch(sub, false, "") // those who wait are told if somebody had the lease
			}
		}
		return
	case "release":
		if held.token == cmd.scriptArg(1) {
			delete(s.leases, key)
		}
		if held.token != cmd.scriptArg(1) && !free && !s.redis.Exists(prefix+"l:"+key) {
			s.violate("%s released the lease of %s, which another one holds", c.p, key)
		}
	case "UNLINK":
		if strings.HasPrefix(cmd.key(), "l:") {
			delete(s.leases, key) // void, by a deletion
		}
		return
	case "move":
		if !strings.HasPrefix(reply, "*2") {
			return
		}
		tag, revoke := strings.TrimPrefix(cmd.key(), "t:"), cmd.scriptArg(1) == "r"
		s.oracle.landed(tag, revoke)
		s.oracle.whole(tag)
		s.publish(c, cmd, tag, revoke)
		return
	case "snapshot":
		s.oracle.whole(strings.TrimPrefix(cmd.key(), "t:"))
		return
	default:
		return
	}
	s.publish(c, cmd, "", false)
}

// publish puts what a command has told the subscriptions at gates.
func (s *sim) publish(c *conn, cmd command, tag string, revoke bool) {
	for _, sub := range s.conns {
		if !sub.sub {
			continue
		}
		if told := s.fetch(sub, revoke, tag); told == 0 && sub.subscribed && !sub.isBroken() && !sub.isClosed() {
			s.violate("%s: %s told %s nothing", c.p, cmd, sub.p)
		}
	}
}

// fetch puts the messages that a subscription has been sent at gates, and passes
// on at once what else it has been sent. A moved tag is named by the command that
// is being observed. It returns the number of messages.
func (s *sim) fetch(c *conn, revoke bool, tag string) (messages int) {
	for {
		c.mu.Lock()
		n := valueLen(c.said)
		value := slices.Clone(c.said[:n])
		c.said = c.said[n:]
		gone := c.closed || c.broken
		c.mu.Unlock()
		if n == 0 {
			return messages
		}
		parts := strs(value)
		if gone {
			continue
		}
		if parts[0] != "message" {
			c.deliver(value)
			synctest.Wait()
			continue
		}
		messages++
		published := s.step
		var arrive func(v verdict)
		arrive = func(v verdict) {
			if v == lost {
				return
			}
			c.deliver(value)
			synctest.Wait()
			if tag != "" && !c.isClosed() {
				s.oracle.heard(c.p, tag, published, revoke)
			}
			if v == doubled {
				s.put(&gate{what: fmt.Sprintf("%s ← %s again", c.p, parts[2]), order: c.p.toldNext(), p: c.p, c: c, kind: messageGate, open: arrive})
			}
		}
		s.put(&gate{what: fmt.Sprintf("%s ← %s", c.p, parts[2]), order: c.p.toldNext(), p: c.p, c: c, kind: messageGate, open: arrive})
	}
}

// hungUp is called when a client closes a connection. It holds no lock of s.
func (s *sim) hungUp(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung = append(s.hung, c)
}

// bury ends what is left of connections that their client has closed. A request
// that was sent before may be served for a while longer.
func (s *sim) bury() {
	s.mu.Lock()
	hung := s.hung
	s.hung = nil
	s.mu.Unlock()
	for _, c := range hung {
		if c.sub && !c.p.dead.Load() {
			s.oracle.cutOff(c.p)
		}
		requested := false
		for _, g := range s.all() {
			switch {
			case g.c != c:
			case g.kind == requestGate && time.Since(g.born) < ghostLife && !c.isBroken() && !c.p.cut.Load():
				requested = true
			default:
				s.take(g)
			}
		}
		if requested {
			s.mu.Lock()
			s.hung = append(s.hung, c)
			s.mu.Unlock()
			continue
		}
		c.server.Close()
		s.conns = slices.DeleteFunc(s.conns, func(other *conn) bool { return other == c })
	}
	if len(hung) > 0 {
		synctest.Wait()
	}
}

// ghostLife is how long a request whose client has left may still reach Redis.
const ghostLife = 3 * time.Second

// breakAll ends all connections, as a server that goes away does.
func (s *sim) breakAll() {
	conns := slices.Clone(s.conns)
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Or(cmp.Compare(a.p.id, b.p.id), a.user.compare(b.user)) })
	tell := make([]func(), len(conns))
	for i, c := range conns {
		tell[i] = s.sever(c)
	}
	for _, t := range tell {
		t()
		synctest.Wait()
		time.Sleep(instant) // so that what they do about it has an order
	}
	for _, g := range s.all() {
		if g.c != nil && g.kind != brokenGate && g.c.isBroken() {
			s.take(g)
		}
	}
}

// A stateCopy is what Redis held at some time.
type stateCopy struct {
	step   int
	at     time.Time
	values map[string]copiedKey
	leases map[string]heldLease
}

type copiedKey struct {
	text string
	hash []string
	ttl  time.Duration
}

func (s *sim) copyState() *stateCopy {
	st := &stateCopy{step: s.step, at: time.Now(), values: make(map[string]copiedKey), leases: make(map[string]heldLease)}
	for k, l := range s.leases {
		st.leases[k] = l
	}
	for _, k := range s.redis.Keys() {
		one := copiedKey{ttl: s.redis.TTL(k)}
		if s.redis.Type(k) == "hash" {
			fields, _ := s.redis.HKeys(k)
			for _, f := range fields {
				one.hash = append(one.hash, f, s.redis.HGet(k, f))
			}
		} else {
			one.text, _ = s.redis.Get(k)
		}
		st.values[k] = one
	}
	return st
}

func (s *sim) restore(st *stateCopy) {
	s.redis.FlushAll()
	age := time.Since(st.at)
	for k, one := range st.values {
		if one.ttl <= age {
			continue
		}
		if one.hash != nil {
			s.redis.HSet(k, one.hash...)
		} else {
			s.redis.Set(k, one.text)
		}
		s.redis.SetTTL(k, one.ttl-age)
	}
	s.leases = st.leases
}
