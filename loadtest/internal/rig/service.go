package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// startLimit is how long the service may take to be ready; filling the largest
// database takes most of it.
const startLimit = 5 * time.Minute

// A Service is one `api serve`.
type Service struct {
	URL string

	cancel context.CancelFunc
	ended  chan struct{} // closed when the process has ended
	err    error         // why; valid once ended is closed
}

// A Fleet is processes of one program that share what they keep in Redis.
type Fleet []*Service

// Serve starts the service and waits until it is ready. Each one has keys of its own
// in Redis, so it begins with an empty cache.
func (r *Rig) Serve(ctx context.Context, args ...string) (*Service, error) {
	fleet, err := r.ServeFleet(ctx, 1, args...)
	if err != nil {
		return nil, err
	}
	return fleet[0], nil
}

// ServeFleet starts processes of the service that share their keys. They log errors
// only: a line for every request that is no hit is not what is measured.
func (r *Rig) ServeFleet(ctx context.Context, processes int, args ...string) (Fleet, error) {
	return r.Launch(ctx, processes, r.Program, append([]string{
		"serve", "--migrate", "--seed", r.Size, "--log-format", "text", "--log-level", "error",
	}, args...)...)
}

// Launch starts processes of any program that takes the service's --listen, --parent
// and --redis-prefix, and has its /readyz and /metrics.
func (r *Rig) Launch(ctx context.Context, processes int, program string, args ...string) (Fleet, error) {
	r.served++
	args = append(slices.Clone(args), "--parent", strconv.Itoa(os.Getpid()), "--redis-prefix", fmt.Sprintf("%s%d:", prefix(), r.served))
	var fleet Fleet
	for range processes {
		s, err := r.launch(ctx, program, args)
		if err != nil {
			return nil, errors.Join(err, fleet.Close())
		}
		fleet = append(fleet, s)
	}
	return fleet, nil
}

func (r *Rig) launch(ctx context.Context, program string, args []string) (*Service, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(running, program, append(slices.Clone(args), "--listen", address)...)
	// Not as flags: everybody on the machine can read those.
	cmd.Env = append(os.Environ(), "DATABASE_URL="+r.DatabaseURL, "REDIS_URL="+r.RedisURL, "JWT_SECRET="+r.Secret)
	cmd.Stdout, cmd.Stderr = r.Log, r.Log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second // then it is killed
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	s := &Service{URL: "http://" + address, cancel: cancel, ended: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends all processes and waits for them.
func (f Fleet) Close() error {
	var errs []error
	for _, s := range f {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// URLs are where the processes listen.
func (f Fleet) URLs() (urls []string) {
	for _, s := range f {
		urls = append(urls, s.URL)
	}
	return urls
}

// Metrics reads those of all processes, one after the other, as if they were one.
func (f Fleet) Metrics(ctx context.Context) (Metrics, error) {
	all := make(Metrics)
	for _, s := range f {
		m, err := s.Metrics(ctx)
		if err != nil {
			return nil, err
		}
		all.add(m)
	}
	return all, nil
}

// Close ends the process and waits for it.
func (s *Service) Close() error {
	select {
	case <-s.ended:
		return errors.Join(errors.New("the service has ended by itself"), s.err)
	default:
	}
	s.cancel()
	<-s.ended
	if _, exited := errors.AsType[*exec.ExitError](s.err); exited {
		return s.err
	}
	return nil // what is left is the cancellation itself
}

func (s *Service) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("the service is not ready after %v", startLimit))
	defer cancel()
	for {
		if resp, err := s.get(ctx, "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.ended:
			return errors.New("the service did not start")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Service) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Metrics is what the service says of itself at one moment.
type Metrics map[string]*dto.MetricFamily

// Metrics reads /metrics.
func (s *Service) Metrics(ctx context.Context) (Metrics, error) {
	resp, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	return parseMetrics(&body)
}

// add puts the metrics of another process beside those of the same names.
func (m Metrics) add(other Metrics) {
	for name, family := range other {
		if mine, ok := m[name]; ok {
			mine.Metric = append(mine.Metric, family.Metric...)
		} else {
			m[name] = family
		}
	}
}

func parseMetrics(text *bytes.Buffer) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(text)
}

// CPU is the time that the process has spent on a processor, in the program and in
// the system for it, in seconds and to the hundredth.
func (m Metrics) CPU() float64 { return m.Sum("process_cpu_seconds_total") }

// Queries is how many connections of a pool have been handed out. The read pool hands
// one out for each query (feed.Store), the write pool for each transaction.
func (m Metrics) Queries(pool string) float64 {
	return m.Sum("communityfeed_postgres_acquires_total", "pool", pool)
}

// Sum adds up the counters and gauges of a name that have the given labels: names and
// values in turn.
func (m Metrics) Sum(name string, labels ...string) (sum float64) {
	family, ok := m[name]
	if !ok {
		return 0
	}
	for _, metric := range family.Metric {
		if matches(metric.Label, labels) {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue()
		}
	}
	return sum
}

// Values are those that a label has in the metrics of a name.
func (m Metrics) Values(name, label string) (values []string) {
	family, ok := m[name]
	if !ok {
		return nil
	}
	for _, metric := range family.Metric {
		for _, l := range metric.Label {
			if l.GetName() == label {
				values = append(values, l.GetValue())
			}
		}
	}
	return values
}

func matches(has []*dto.LabelPair, wanted []string) bool {
	for i := 0; i < len(wanted); i += 2 {
		found := false
		for _, l := range has {
			found = found || l.GetName() == wanted[i] && l.GetValue() == wanted[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
