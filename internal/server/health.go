package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Check is a dependency that /readyz asks for a sign of life.
type Check struct {
	Name     string
	Required bool // without it the service is not ready; without others it is degraded
	Probe    func(ctx context.Context) error
}

// checkTimeout is when a dependency that does not answer counts as down. It is
// below the second that most probes wait.
const checkTimeout = 800 * time.Millisecond

// What a dependency, and the service as a whole, can be.
const (
	statusOK       = "ok"
	statusDegraded = "degraded"
	statusDown     = "down"
	statusStopping = "stopping"
)

type health struct {
	Status string                `json:"status"`
	Checks map[string]dependency `json:"checks,omitempty"`
}

type dependency struct {
	Status    string  `json:"status"`
	LatencyMS float64 `json:"latencyMs"`
}

// livez says that the process is there. It asks nobody: restarting it would not
// bring a database back.
func (s *Server) livez(c echo.Context) error {
	return answerHealth(c, http.StatusOK, health{Status: statusOK})
}

// readyz says whether requests should come here. A dependency that the service
// can do without does not take it out of the load balancer.
func (s *Server) readyz(c echo.Context) error {
	h := s.examine(c.Request().Context())
	if s.draining.Load() {
		h.Status = statusStopping
	}
	switch h.Status {
	case statusOK, statusDegraded:
		return answerHealth(c, http.StatusOK, h)
	}
	return answerHealth(c, http.StatusServiceUnavailable, h)
}

// examine makes all checks at once. What went wrong with one is not told: the
// address in an error is nobody's business here.
func (s *Server) examine(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()

	found := make([]dependency, len(s.o.Checks))
	var all sync.WaitGroup
	for i, check := range s.o.Checks {
		all.Go(func() {
			began := time.Now()
			err := check.Probe(ctx)
			found[i] = dependency{statusOK, float64(time.Since(began).Microseconds()) / 1000}
			switch {
			case err != nil && check.Required:
				found[i].Status = statusDown
			case err != nil:
				found[i].Status = statusDegraded
			}
		})
	}
	all.Wait()

	h := health{Status: statusOK, Checks: make(map[string]dependency, len(found))}
	for i, d := range found {
		h.Checks[s.o.Checks[i].Name] = d
		if d.Status == statusDown || h.Status == statusOK {
			h.Status = d.Status
		}
	}
	return h
}

func answerHealth(c echo.Context, status int, h health) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, h)
}
