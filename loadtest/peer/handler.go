package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	pages       *pages // nil: every read is a load
}

var (
	errUnknown   = errors.New("there is no such community")
	errForbidden = errors.New("only members post to a community: join it first")
	errToken     = errors.New("the token is not good")
	errRequest   = errors.New("the request makes no sense")
)

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	for known, itsStatus := range map[error]int{
		errUnknown: http.StatusNotFound, errForbidden: http.StatusForbidden,
		errToken: http.StatusUnauthorized, errRequest: http.StatusUnprocessableEntity,
	} {
		if errors.Is(err, known) {
			status = itsStatus
		}
	}
	if status == http.StatusInternalServerError {
		err = errors.New("something went wrong") // what, is not for clients
	}
	http.Error(w, err.Error(), status)
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
	if q.community, err = strconv.ParseInt(r.PathValue("id"), 10, 64); err != nil {
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
		fail(w, err)
		return
	}
	load := func(ctx context.Context) ([]byte, error) {
		page, err := h.load(ctx, q)
		if err != nil {
			return nil, err
		}
		return encode(page)
	}
	var f found
	how := "BYPASS"
	if h.pages == nil {
		f.body, err = load(r.Context())
	} else {
		how = "HIT"
		if f, err = h.pages.get(r.Context(), strconv.FormatInt(q.community, 10), q.key(), load); f.loaded {
			how = "MISS"
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("X-Cache", how)
	w.Header().Set("Cache-Control", "private, max-age=15")
	w.Header().Set("Vary", "Authorization, Accept-Language, "+identity.HeaderFeedV2)
	answer(w, http.StatusOK, f.body)
}

func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	q, err := h.question(r)
	if err == nil && q.user == 0 {
		err = errToken
	}
	if err != nil {
		fail(w, err)
		return
	}
	in := newPost{Locale: q.locale}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	body.DisallowUnknownFields()
	if body.Decode(&in) != nil || strings.TrimSpace(in.Title) == "" || strings.TrimSpace(in.Body) == "" || !identity.Supported(in.Locale) {
		fail(w, errRequest)
		return
	}
	created, err := h.insert(r.Context(), q, in)
	if err != nil {
		fail(w, err)
		return
	}
	if h.pages != nil {
		h.pages.changed(r.Context(), strconv.FormatInt(q.community, 10))
	}
	text, err := encode(created)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/api/posts/%d", created.ID))
	answer(w, http.StatusCreated, text)
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
