package feed

// Each of these is an iter.Seq of the rows of one table, with the columns that
// world.tables lists.

func (w world) users(yield func([]any) bool) {
	joined := w.now.Add(-2 * span)
	for id := int64(1); id <= w.Users; id++ {
		if !yield([]any{id, userName(id), joined}) {
			return
		}
	}
}

// blocks has every tenth user, from user 2, block the next one.
func (w world) blocks(yield func([]any) bool) {
	for id := int64(2); id < w.Users; id += 10 {
		if !yield([]any{id, id + 1, w.now.Add(-span)}) {
			return
		}
	}
}

// isPrivate has every fifth community be private, 13 among them.
func (w world) isPrivate(community int64) bool { return community%5 == 3 }

func (w world) communities(yield func([]any) bool) {
	for id := int64(1); id <= w.Communities; id++ {
		visibility := Public
		if w.isPrivate(id) {
			visibility = Private
		}
		if !yield([]any{id, communityName(id), string(visibility), int64(w.member(id, 0)), w.now.Add(-2 * span)}) {
			return
		}
	}
}

func (w world) members(yield func([]any) bool) {
	for id := int64(1); id <= w.Communities; id++ {
		for n := range w.memberCount(id) {
			if !yield([]any{id, int64(w.member(id, n)), w.now.Add(-2 * span)}) {
				return
			}
		}
	}
}

func (w world) posts(yield func([]any) bool) {
	d := newDice()
	for id := int64(1); id <= w.Posts; id++ {
		p := w.post(d, id)
		var deleted any
		if p.deleted {
			deleted = w.now
		}
		book := phrasebook[p.locale]
		if !yield([]any{id, p.community, int64(p.author), book.locale, book.title(p.text), book.body(p.text),
			int32(p.likes), p.created, p.created, deleted}) {
			return
		}
	}
}

func (w world) translations(yield func([]any) bool) {
	d := newDice()
	for id := int64(1); id <= w.Posts; id++ {
		p := w.post(d, id)
		for _, i := range p.translations {
			book := phrasebook[i]
			if !yield([]any{id, book.locale, book.title(p.text), book.body(p.text)}) {
				return
			}
		}
	}
}

func (w world) likes(yield func([]any) bool) {
	d := newDice()
	for id := int64(1); id <= w.Posts; id++ {
		p := w.post(d, id)
		members := w.memberCount(p.community)
		for n := range p.likes {
			if !yield([]any{int64(w.member(p.community, (p.firstLiker+n)%members)), id, p.created}) {
				return
			}
		}
	}
}
