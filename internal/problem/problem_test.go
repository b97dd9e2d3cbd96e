package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/problem"
)

func TestAProblemEncodesAsRFC9457(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"not found", problem.NotFound("post 7"),
			`{"type":"about:blank","title":"Not Found","status":404,"detail":"post 7 was not found"}`},
		{"retry-after is a header, not a member", problem.Unavailable("busy", time.Second),
			`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"busy"}`},
		{"bad fields", problem.Fields{{Field: "title", Message: "must not be empty"}}.Err(),
			`{"type":"about:blank","title":"Bad Request","status":400,` +
				`"detail":"the request has fields that are not valid",` +
				`"errors":[{"field":"title","message":"must not be empty"}]}`},
		{"no detail", problem.Conflict(""),
			`{"type":"about:blank","title":"Conflict","status":409}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := json.Marshal(tc.err)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFieldsListEverythingThatIsWrong(t *testing.T) {
	var wrong problem.Fields
	wrong.Check(false, "title", "must not be empty")
	wrong.Check(true, "body", "must not be empty")
	wrong.Check(false, "price.amount", "must not be negative")

	var p *problem.Problem
	if !errors.As(wrong.Err(), &p) {
		t.Fatalf("%v is not a problem", wrong.Err())
	}
	want := []problem.Field{{"title", "must not be empty"}, {"price.amount", "must not be negative"}}
	if diff := cmp.Diff(want, p.Errors); diff != "" || p.Status != 400 {
		t.Errorf("status %d, fields (-want +got):\n%s", p.Status, diff)
	}
}

func TestFieldsThatAreAllRightAreNoError(t *testing.T) {
	var wrong problem.Fields
	wrong.Check(true, "title", "must not be empty")
	if err := wrong.Err(); err != nil {
		t.Error(err)
	}
}

func TestAWrappedProblemIsFound(t *testing.T) {
	err := fmt.Errorf("creating a post: %w", problem.Forbidden("members only"))
	var p *problem.Problem
	if !errors.As(err, &p) || p.Status != 403 {
		t.Errorf("got %v", p)
	}
	if want := "creating a post: 403 Forbidden: members only"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
