package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/report"
)

var (
	floorPairs = flag.Int("floor-pairs", 15, "how often the service and the bare handler take turns, for each kind of answer")
	floorTime  = flag.Duration("floor-time", time.Second, "how long each turn takes")
	floorConns = flag.Int("floor-conns", 32, "connections of the load")
)

// BenchmarkFloor measures what a hit in L1 costs beside the least that it could cost: a
// bare Echo handler in the same process, on the same kind of path, that writes the same
// bytes with the same headers. They take turns, so that what else the machine does
// befalls both; the ratio of the medians counts. nginx and Varnish, where they are
// installed, show what a cache in C costs that does nothing else.
//
//	make floor
func BenchmarkFloor(b *testing.B) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		b.Fatal("wrk makes the load, and is not installed (Debian and Homebrew have it as wrk)")
	}
	args, _ := seeded(b)
	service := serve(b, args...)
	token, err := identity.Sign(developmentSecret, 42, "", tokenLife)
	if err != nil {
		b.Fatal(err)
	}
	ask := []string{"Authorization: Bearer " + token, "Accept-Language: de"}

	f := floor{b: b, wrk: wrk, self: procTree{}}
	whole := f.copy(service, "200, identity", append(ask, "Accept-Encoding: identity"))
	copies := []copied{
		whole,
		f.copy(service, "200, gzip", append(ask, "Accept-Encoding: gzip")),
		f.copy(service, "304", append(ask, "Accept-Encoding: identity", "If-None-Match: "+whole.header.Get("Etag"))),
	}
	bareURL := f.start(bareHandlers(copies))
	others := append(startNginx(b, bareURL), startVarnish(b, bareURL)...)
	rows := report.Table{{"answer", "bytes", "bare", "service", "ratio", "bare req/s", "service req/s", "ratio", "ratio of p99"}}
	for _, other := range others {
		rows[0] = append(rows[0], other.name, "service to it")
	}
	for i, c := range copies {
		at := barePath(i)
		if c.status == http.StatusNotModified { // other caches answer 304 from the whole page themselves
			at = barePath(0)
		}
		rows = append(rows, f.row(c, bareURL+barePath(i), service.base+openPosts, others, at))
	}
	b.Logf("%s; CPU per request, medians of %d turns of %v, %d connections\n\n%s",
		report.Machine(), *floorPairs, *floorTime, *floorConns, rows)
}

// The first request is for a path without parameters, as in the benchmark, where other
// caches are asked for "/" until they answer.
func TestTheBareHandlersWriteWhatTheyCopy(t *testing.T) {
	copies := []copied{
		{status: http.StatusOK, header: http.Header{"Etag": {`"a"`}}, body: []byte("page")},
		{status: http.StatusOK, header: http.Header{"Content-Encoding": {"gzip"}}, body: []byte("coded")},
		{status: http.StatusNotModified, header: http.Header{"Etag": {`"a"`}}, body: []byte{}},
	}
	bare := bareHandlers(copies)
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		bare.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w
	}
	if w := ask("/"); w.Code != http.StatusNotFound {
		t.Fatalf("/ is answered with %d", w.Code)
	}
	for i, c := range copies {
		w := ask(barePath(i))
		got := copied{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
		if diff := cmp.Diff(c, got, cmp.AllowUnexported(copied{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-copied +written):\n%s", barePath(i), diff)
		}
	}
}

// row measures one kind of answer: bare and service in turns, then each other cache and
// service. at is the path that the others are asked for.
func (f *floor) row(c copied, bareURL, serviceURL string, others []another, at string) []string {
	service := target{serviceURL, c.ask, f.self}
	bare, ours := f.takeTurns(target{bareURL, c.ask, f.self}, service)
	f.b.ReportMetric(ours.cpu/bare.cpu, strings.ReplaceAll(c.kind, ", ", "-")+"-×bare")
	row := []string{
		c.kind, report.Number(float64(len(c.body))), micros(bare.cpu), micros(ours.cpu), times(ours.cpu / bare.cpu),
		report.Number(bare.rate), report.Number(ours.rate), times(ours.rate / bare.rate), times(ours.p99 / bare.p99),
	}
	for _, other := range others {
		ours, theirs := f.takeTurns(service, target{other.url + at, c.ask, other.process})
		row = append(row, micros(theirs.cpu), times(ours.cpu/theirs.cpu))
	}
	return row
}

func micros(us float64) string { return report.Number(us) + " µs" }

func times(ratio float64) string { return fmt.Sprintf("%.2f ×", ratio) }

// floor is what the turns share.
type floor struct {
	b    *testing.B
	wrk  string
	self procTree
}

// copied is one of the service's answers, for a bare handler to write.
type copied struct {
	kind   string
	ask    []string // the headers that ask for it
	status int
	header http.Header
	body   []byte
}

// copy asks the service until the answer is a hit.
func (f *floor) copy(p *program, kind string, ask []string) copied {
	c := copied{kind: kind, ask: slices.Clone(ask)}
	request, err := http.NewRequest(http.MethodGet, p.base+openPosts, http.NoBody)
	if err != nil {
		f.b.Fatal(err)
	}
	for _, h := range ask {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	// The second is a hit, unless the page has expired and is being refreshed.
	for tries := 0; c.header.Get("X-Cache") != "HIT" && tries < 100; tries++ {
		response, err := http.DefaultTransport.RoundTrip(request) // which decodes nothing if Accept-Encoding is set
		if err != nil {
			f.b.Fatal(err)
		}
		c.body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			f.b.Fatal(err)
		}
		c.status, c.header = response.StatusCode, response.Header
	}
	if c.header.Get("X-Cache") != "HIT" || (len(c.body) == 0) != (c.status == http.StatusNotModified) {
		f.b.Fatalf("with %q the service answers %d, %v", ask, c.status, c.header)
	}
	c.header.Del("Date")
	return c
}

// bareHandlers answers barePath(i) with copies[i]. It takes all copies at once, so that
// no route is added while Echo serves: a pooled context has room for the parameters of
// the routes that were there when it was made, and panics on a route with more.
func bareHandlers(copies []copied) http.Handler {
	e := echo.New()
	for i, copied := range copies {
		e.GET(barePrefix(i)+"/api/communities/:id/posts", func(c echo.Context) error {
			w := c.Response()
			to := w.Header()
			for name, values := range copied.header {
				to[name] = values
			}
			w.WriteHeader(copied.status)
			if len(copied.body) == 0 {
				return nil
			}
			_, err := w.Write(copied.body)
			return err
		})
	}
	return e
}

func barePrefix(i int) string { return "/" + strconv.Itoa(i) }

func barePath(i int) string { return barePrefix(i) + openPosts }

// start serves the bare handlers.
func (f *floor) start(bare http.Handler) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.b.Fatal(err)
	}
	server := &http.Server{ // with the limits that ours has: no server goes without
		Handler: bare, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() { _ = server.Serve(l) }()
	f.b.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String()
}

// target is what one kind of turn asks, and whose time is counted.
type target struct {
	url     string
	headers []string
	whose   procTree
}

// turn is what was measured in one, or the medians of several.
type turn struct {
	cpu  float64 // µs per request
	rate float64 // requests per second
	p99  float64 // ms
}

func (f *floor) takeTurns(a, b target) (first, second turn) {
	var turns [2][]turn
	f.turn(a, time.Second)
	f.turn(b, time.Second)
	for i := range *floorPairs {
		pair := [2]target{a, b}
		for j := range pair {
			which := (i + j) % 2 // each is the first of its pair half the time
			turns[which] = append(turns[which], f.turn(pair[which], *floorTime))
		}
	}
	return medians(turns[0]), medians(turns[1])
}

func medians(turns []turn) turn {
	of := func(value func(turn) float64) float64 {
		var values []float64
		for _, t := range turns {
			values = append(values, value(t))
		}
		return report.Median(values)
	}
	return turn{
		cpu:  of(func(t turn) float64 { return t.cpu }),
		rate: of(func(t turn) float64 { return t.rate }),
		p99:  of(func(t turn) float64 { return t.p99 }),
	}
}

var (
	wrkTotal = regexp.MustCompile(`(?m)^\s*(\d+) requests in ([\d.]+)s, `)
	wrkP99   = regexp.MustCompile(`(?m)^\s*99%\s+([\d.]+)(us|ms|s)`)
	wrkBad   = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses|Socket errors).*`)
)

// turn lets wrk ask for so long.
func (f *floor) turn(t target, long time.Duration) turn {
	args := []string{"-t1", "-c", strconv.Itoa(*floorConns), "-d", fmt.Sprintf("%ds", max(1, int(long.Seconds()))), "--latency"}
	for _, h := range t.headers {
		args = append(args, "-H", h)
	}
	before := t.whose.cpu(f.b)
	out, err := exec.Command(f.wrk, append(args, t.url)...).CombinedOutput()
	spent := t.whose.cpu(f.b) - before
	total, p99 := wrkTotal.FindSubmatch(out), wrkP99.FindSubmatch(out)
	if bad := wrkBad.Find(out); err != nil || bad != nil || total == nil || p99 == nil {
		f.b.Fatalf("wrk %s: %v\n%s", t.url, err, out)
	}
	number := func(b []byte) float64 { n, _ := strconv.ParseFloat(string(b), 64); return n }
	n := number(total[1])
	return turn{
		cpu:  float64(spent.Microseconds()) / n,
		rate: n / number(total[2]),
		p99:  number(p99[1]) * map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[string(p99[2])],
	}
}
