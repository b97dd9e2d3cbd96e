package cache

import "testing"

// Rule 5: two reads that both found nothing in L1 cause one load, also when one of them
// has come to its end before the other has boarded a flight.
func TestAReadOvertakenByAWholeFlightDoesNotLoadAgain(t *testing.T) {
	for name, process := range map[string]func(*fleet) *process{
		"without L2": (*fleet).alone,
		"with L2":    (*fleet).process,
		"with Redis away": func(f *fleet) *process {
			p := f.process()
			p.gate.silence()
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				p := process(f)
				f.origin.set("a", "v")
				s := p.row.source
				text := s.spec.render(nil, []string{"a"})
				if _, _, hit := s.hit(text); hit {
					t.Fatal("a cold key is a hit")
				}
				if _, err := p.row.GetOrSet(t.Context(), "a"); err != nil { // overtakes
					t.Fatal(err)
				}
				a := s.read(t.Context(), s.spec.split(string(text)))
				if a.value != "v" || a.err != nil {
					t.Errorf("got %v, %v", a.value, a.err)
				}
				if a.outcome != HitL1 && a.outcome != HitL2 {
					t.Errorf("outcome %v", a.outcome)
				}
				equal(t, "loads", f.origin.count(), 1)
				stats := p.Stats().Keys[s.spec.head]
				equal(t, "misses", stats.Miss, 1)
				equal(t, "hits", stats.HitL1+stats.HitL2, 1)
			})
		})
	}
}
