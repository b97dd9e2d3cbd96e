package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
)

// serving runs a server until its context is ended.
type serving struct {
	url  string
	ln   net.Listener
	stop context.CancelFunc
	end  chan error
}

func serve(t *testing.T, b bare) serving {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s := serving{"http://" + ln.Addr().String(), ln, stop, make(chan error, 1)}
	go func() { s.end <- b.Serve(ctx, ln) }()
	return s
}

// getting asks in the background for a page, on a connection of its own.
func getting(url string) <-chan int {
	status := make(chan int, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get(url)
		if err != nil {
			status <- 0
			return
		}
		r.Body.Close()
		status <- r.StatusCode
	}()
	return status
}

func TestShutdownEndsTheRequestsUnderWay(t *testing.T) {
	b := newBare(t, Options{})
	entered, release := make(chan struct{}), make(chan struct{})
	heard := false // read after the end
	b.bus.Subscribe("audit", func(context.Context, any) error { heard = true; return nil })
	b.echo.GET("/slow", func(c echo.Context) error {
		close(entered)
		<-release
		if err := b.bus.Publish(c.Request().Context(), "an event"); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
	s := serve(t, b)
	slow := getting(s.url + "/slow")
	<-entered
	s.stop()
	for <-getting(s.url+"/slow") != 0 { // until nothing listens any more
	}
	select {
	case err := <-s.end:
		t.Fatalf("ended while a request was under way: %v", err)
	default:
	}
	close(release)
	if status := <-slow; status != 204 {
		t.Errorf("the request under way got %d", status)
	}
	if err := <-s.end; err != nil {
		t.Errorf("the end: %v", err)
	}
	if !heard {
		t.Error("its event was not heard")
	}
}

func TestReadinessTurnsBeforeRequestsAreRefused(t *testing.T) {
	b := newBare(t, Options{DrainDelay: time.Hour})
	b.get("/readyz", b.readyz)
	b.echo.GET("/x", ok)
	s := serve(t, b)
	if status := <-getting(s.url + "/readyz"); status != 200 {
		t.Fatalf("/readyz answers %d before the end", status)
	}
	s.stop()
	for <-getting(s.url+"/readyz") == 200 {
	}
	if ready, page := <-getting(s.url+"/readyz"), <-getting(s.url+"/x"); ready != 503 || page != 200 {
		t.Errorf("while draining /readyz answers %d and a page %d; want 503 and 200", ready, page)
	}
	if err := s.ln.Close(); err != nil { // which ends the delay
		t.Fatal(err)
	}
	if err := <-s.end; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the end: %v", err)
	}
}

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	b := newBare(t, Options{ShutdownTimeout: 20 * time.Millisecond})
	entered, left := make(chan struct{}), make(chan struct{})
	b.echo.GET("/stuck", func(c echo.Context) error {
		close(entered)
		<-c.Request().Context().Done()
		close(left)
		return c.Request().Context().Err()
	})
	s := serve(t, b)
	stuck := getting(s.url + "/stuck")
	<-entered
	s.stop()
	if err := <-s.end; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("the end: %v", err)
	}
	<-left
	if status := <-stuck; status == 200 {
		t.Error("the request that was cut off looks like a success")
	}
}

func TestABrokenListenerEndsTheServer(t *testing.T) {
	b := newBare(t, Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/x", ok)
	s := serve(t, b)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d", answer.StatusCode)
	}
	s.stop()
	if err := <-s.end; err != nil {
		t.Error(err)
	}
}
