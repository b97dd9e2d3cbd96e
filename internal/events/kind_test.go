package events

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type (
	sown   struct{ Field string }
	reaped struct {
		Field string
		Tons  *int
	}
)

var farming = Kinds{KindOf[sown]("farm.sown"), KindOf[reaped]("farm.reaped")}

func TestAnEventComesBackFromItsRowAsItWas(t *testing.T) {
	tons := 3
	r := newRegistry(farming)
	for _, want := range []any{sown{"north"}, reaped{"south", &tons}, reaped{}} {
		kind, payload, err := r.encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.decode(kind, payload)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestWhatIsNotDeclaredIsAnUnknownKind(t *testing.T) {
	r := newRegistry(farming)
	for _, event := range []any{struct{}{}, &sown{}, "farm.sown", nil} {
		if _, _, err := r.encode(event); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("encoding %T: %v, want ErrUnknownKind", event, err)
		}
	}
	if _, err := r.decode("farm.ploughed", []byte("{}")); !errors.Is(err, ErrUnknownKind) {
		t.Errorf("decoding: %v, want ErrUnknownKind", err)
	}
}

func TestARowThatCannotBeReadIsAnErrorOfItsKind(t *testing.T) {
	_, err := newRegistry(farming).decode("farm.sown", []byte(`{"Field": 7}`))
	if err == nil || errors.Is(err, ErrUnknownKind) || !strings.Contains(err.Error(), "farm.sown") {
		t.Errorf("got %v", err)
	}
}

func TestAKindTellsItsNameAndType(t *testing.T) {
	if k := farming[0]; k.Name() != "farm.sown" || k.Zero() != any(sown{}) {
		t.Errorf("got %s, %#v", k.Name(), k.Zero())
	}
}

func TestAKindDeclaredTwicePanics(t *testing.T) {
	for name, kinds := range map[string]Kinds{
		"one name, two types": {KindOf[sown]("farm.sown"), KindOf[reaped]("farm.sown")},
		"one type, two names": {KindOf[sown]("farm.sown"), KindOf[sown]("farm.sowed")},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			newRegistry(kinds)
		})
	}
}
