package products

import (
	"testing"
	"time"
)

func TestSeedFillsTheCatalogue(t *testing.T) {
	s := newShop(t)
	var told int64
	size := SeedSize{Products: 500}
	if err := Seed(t.Context(), s.pool, size, time.Now(), func(_ string, rows int64) { told = rows }); err != nil {
		t.Fatal(err)
	}
	for _, category := range append(categories[:], "") {
		list, total, err := s.List(t.Context(), Category(category), 1, 100)
		if err != nil || total == 0 {
			t.Errorf("category %q: %d products, %v", category, total, err)
		}
		for _, p := range list {
			if err := p.validate(); err != nil {
				t.Errorf("%+v would be refused: %v", p, err)
			}
		}
		if category == "" && (total != 500 || told != 500) {
			t.Errorf("%d products, progress said %d, want 500", total, told)
		}
	}
	if _, err := s.Create(t.Context(), book("Next")); err != nil {
		t.Errorf("after the seed: %v", err)
	}
	if err := Wipe(t.Context(), s.pool); err != nil {
		t.Fatal(err)
	}
	if empty, err := Empty(t.Context(), s.pool); !empty || err != nil {
		t.Errorf("after a wipe: %t, %v", empty, err)
	}
}
