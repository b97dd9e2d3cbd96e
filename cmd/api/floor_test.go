package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

	f := floor{b: b, wrk: wrk, bare: echo.New(), self: procTree{}}
	bareURL := f.start()
	others := append(startNginx(b, bareURL), startVarnish(b, bareURL)...)
	rows := report.Table{{"answer", "bytes", "bare", "service", "ratio", "bare req/s", "service req/s", "ratio", "ratio of p99"}}
	for _, other := range others {
		rows[0] = append(rows[0], other.name, "service to it")
	}
	var whole, etag string // of the first kind: other caches answer 304 from the page themselves
	for _, kind := range []struct {
		name string
		ask  []string
	}{
		{"200, identity", []string{"Accept-Encoding: identity"}},
		{"200, gzip", []string{"Accept-Encoding: gzip"}},
		{"304", []string{"Accept-Encoding: identity", "If-None-Match: "}},
	} {
		headers := slices.Concat(ask, kind.ask)
		if kind.name == "304" {
			headers[len(headers)-1] += etag
		}
		path, header, size := f.copy(service, headers)
		whole, etag = cmp.Or(whole, path), cmp.Or(etag, header.Get("Etag"))
		at := path
		if kind.name == "304" {
			at = whole
		}
		rows = append(rows, f.row(kind.name, size, headers, bareURL+path, service.base+openPosts, others, at))
	}
	b.Logf("%s; CPU per request, medians of %d turns of %v, %d connections\n\n%s",
		report.Machine(), *floorPairs, *floorTime, *floorConns, rows)
}

// row measures one kind of answer: bare and service in turns, then each other cache and
// service. at is the path that the others are asked for.
func (f *floor) row(kind string, size int, headers []string, bareURL, serviceURL string, others []another, at string) []string {
	service := target{serviceURL, headers, f.self}
	bare, ours := f.takeTurns(target{bareURL, headers, f.self}, service)
	f.b.ReportMetric(ours.cpu/bare.cpu, strings.ReplaceAll(kind, ", ", "-")+"-×bare")
	row := []string{
		kind, report.Number(float64(size)), micros(bare.cpu), micros(ours.cpu), times(ours.cpu / bare.cpu),
		report.Number(bare.rate), report.Number(ours.rate), times(ours.rate / bare.rate), times(ours.p99 / bare.p99),
	}
	for _, other := range others {
		ours, theirs := f.takeTurns(service, target{other.url + at, headers, other.process})
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
	bare *echo.Echo
	self procTree
}

// start serves the bare handlers.
func (f *floor) start() (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.b.Fatal(err)
	}
	server := &http.Server{ // with the limits that ours has: no server goes without
		Handler: f.bare, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() { _ = server.Serve(l) }()
	f.b.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String()
}

// copy makes a bare handler of the service's answer, and returns its path, its header and
// the size of its body.
func (f *floor) copy(p *program, headers []string) (path string, header http.Header, size int) {
	request, err := http.NewRequest(http.MethodGet, p.base+openPosts, http.NoBody)
	if err != nil {
		f.b.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	var status int
	var body bytes.Buffer
	// The second is a hit, unless the page has expired and is being refreshed.
	for tries := 0; header.Get("X-Cache") != "HIT" && tries < 100; tries++ {
		response, err := http.DefaultTransport.RoundTrip(request) // which decodes nothing if Accept-Encoding is set
		if err != nil {
			f.b.Fatal(err)
		}
		body.Reset()
		_, _ = body.ReadFrom(response.Body)
		_ = response.Body.Close()
		status, header = response.StatusCode, response.Header
	}
	if header.Get("X-Cache") != "HIT" || (body.Len() == 0) != (status == http.StatusNotModified) {
		f.b.Fatalf("with %q the service answers %d, %v", headers, status, header)
	}
	header.Del("Date")
	prefix := "/" + strconv.Itoa(len(f.bare.Routes()))
	f.bare.GET(prefix+"/api/communities/:id/posts", func(c echo.Context) error {
		w := c.Response()
		to := w.Header()
		for name, values := range header {
			to[name] = values
		}
		w.WriteHeader(status)
		if body.Len() == 0 {
			return nil
		}
		_, err := w.Write(body.Bytes())
		return err
	})
	return prefix + openPosts, header, body.Len()
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
