package fence

import "testing"

func TestStateOfIDs(t *testing.T) {
	now := IDs{"c2", "r2"}
	for _, test := range []struct {
		name      string
		then, now IDs
		want      State
	}{
		{"equal", now, now, Fresh},
		{"changed", IDs{"c1", "r2"}, now, Changed},
		{"revoked", IDs{"c2", "r1"}, now, Revoked},
		{"revoked, then changed", IDs{"c1", "r1"}, now, Revoked},
		{"tag lost", now, IDs{}, Revoked},
		{"absent on both sides", IDs{}, IDs{}, Revoked},
		{"half a tag on both sides", IDs{"c2", ""}, IDs{"c2", ""}, Revoked},
		{"the other half", IDs{"", "r2"}, IDs{"", "r2"}, Changed},
	} {
		if got := test.then.Since(test.now); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if got := Since(nil, nil); got != Revoked {
		t.Errorf("no tags: got %v; a copy under no tag could never be withdrawn", got)
	}
	if got := Since([]IDs{now}, []IDs{now, now}); got != Revoked {
		t.Errorf("a tag more than at the fill: got %v", got)
	}
}
