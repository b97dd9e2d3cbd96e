package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/identity"
)

type handler struct {
	read, write *pgxpool.Pool
	verifier    *identity.Verifier
	locales     *identity.Locales
	cursors     cursors
	pages       *pages
}

// A refusal is the status of an answer that is none.
type refusal int

func (r refusal) Error() string { return http.StatusText(int(r)) }

const (
	errRequest   = refusal(http.StatusUnprocessableEntity)
	errToken     = refusal(http.StatusUnauthorized)
	errForbidden = refusal(http.StatusForbidden) // only members post to a community
	errUnknown   = refusal(http.StatusNotFound)  // or not for this user
)

func refuse(w http.ResponseWriter, err error) {
	r, ok := errors.AsType[refusal](err)
	if !ok {
		r = http.StatusInternalServerError
	}
	http.Error(w, r.Error(), int(r))
}

// A question is all that a page depends on.
type question struct {
	community int64
	user      identity.UserID // 0: nobody
	locale    string
	ranked    bool
	after     string
	limit     int
}

func (q question) key() string {
	return fmt.Sprintf("%d|%s|%t|%s|%d", q.user, q.locale, q.ranked, q.after, q.limit)
}

func (h *handler) question(r *http.Request) (q question, err error) {
	id := r.PathValue("id") // in one spelling, since it is in keys
	if q.community, err = strconv.ParseInt(id, 10, 64); err != nil || id != strconv.FormatInt(q.community, 10) {
		return q, errRequest
	}
	if header := r.Header.Get("Authorization"); header != "" {
		token, _ := strings.CutPrefix(header, "Bearer ")
		if q.user, _, err = h.verifier.Verify(token, time.Now()); err != nil {
			return q, errToken
		}
	}
	q.locale, q.ranked = h.locales.Match(r.Header.Get("Accept-Language")), r.Header.Get(identity.HeaderFeedV2) == "1"
	query := r.URL.Query()
	q.after, q.limit = query.Get("after"), 20
	switch limit := query.Get("limit"); limit {
	case "":
	case "10", "20", "50", "100":
		q.limit, _ = strconv.Atoi(limit)
	default:
		return q, errRequest
	}
	return q, nil
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	q, err := h.question(r)
	if err != nil {
		refuse(w, err)
		return
	}
	f, err := h.pages.get(r.Context(), r.PathValue("id"), q.key(), func(ctx context.Context) ([]byte, error) {
		page, err := h.load(ctx, q)
		if err != nil {
			return nil, err
		}
		return encode(page)
	})
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("X-Cache", f.how)
	w.Header().Set("Cache-Control", "private, max-age=15")
	w.Header().Set("Vary", "Authorization, Accept-Language, "+identity.HeaderFeedV2)
	answer(w, http.StatusOK, f.body)
}

func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	q, err := h.question(r)
	if err == nil && q.user == 0 {
		err = errToken
	}
	in := newPost{Locale: q.locale}
	if err == nil {
		err = in.read(http.MaxBytesReader(w, r.Body, 64<<10))
	}
	var body []byte
	if err == nil {
		body, err = h.insert(r.Context(), q, in)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	h.pages.changed(r.Context(), r.PathValue("id"))
	answer(w, http.StatusCreated, body)
}

func (n *newPost) read(body io.Reader) error {
	in := json.NewDecoder(body)
	in.DisallowUnknownFields()
	if in.Decode(n) != nil || strings.TrimSpace(n.Title) == "" || strings.TrimSpace(n.Body) == "" || !identity.Supported(n.Locale) {
		return errRequest
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has left
}
