package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"example.com/communityfeed/internal/embedded"
)

// Way is where a server for tests comes from.
type Way string

const (
	URLs       Way = "urls"       // TEST_DATABASE_URL, TEST_REDIS_URL
	Containers Way = "containers" // a Docker engine
	Embedded   Way = "embedded"   // package embedded
)

// Choice is where both servers come from. They may differ when only one URL is
// given.
type Choice struct {
	Postgres, Redis       Way
	databaseURL, redisURL string
}

// Choose looks at the environment and the machine. Without TESTENV it takes
// the first way that is there; TESTENV=urls, containers or embedded allows one
// way only, and it is an error when that one is not there.
func Choose(ctx context.Context) (Choice, error) {
	c := Choice{databaseURL: os.Getenv("TEST_DATABASE_URL"), redisURL: os.Getenv("TEST_REDIS_URL")}
	forced := Way(os.Getenv("TESTENV"))
	switch forced {
	case URLs:
		if c.databaseURL == "" || c.redisURL == "" {
			return c, errors.New("TESTENV=urls needs TEST_DATABASE_URL and TEST_REDIS_URL")
		}
		c.Postgres, c.Redis = URLs, URLs
		return c, nil
	case Containers:
		if err := engineAnswers(ctx, 30*time.Second); err != nil {
			return c, fmt.Errorf("TESTENV=containers needs a Docker engine: %w", err)
		}
		c.Postgres, c.Redis = Containers, Containers
		return c, nil
	case Embedded:
		c.Postgres, c.Redis = Embedded, Embedded
		return c, nil
	case "":
		return c.firstThere(ctx), nil
	}
	return c, fmt.Errorf("TESTENV=%s: must be %s, %s or %s", forced, URLs, Containers, Embedded)
}

func (c Choice) firstThere(ctx context.Context) Choice {
	if c.databaseURL == "" || c.redisURL == "" {
		c.Postgres, c.Redis = Embedded, Embedded
		if engineAnswers(ctx, 2*time.Second) == nil {
			c.Postgres, c.Redis = Containers, Containers
		}
	}
	if c.databaseURL != "" {
		c.Postgres = URLs
	}
	if c.redisURL != "" {
		c.Redis = URLs
	}
	return c
}

// Describe says in one line what tests will run on. It starts nothing.
func (c Choice) Describe(ctx context.Context) string {
	postgres, redis := embedded.Describe(ctx)
	describe := func(w Way, variable, image, embedded string) string {
		switch w {
		case URLs:
			return "the server of " + variable
		case Containers:
			return image + " in a container"
		}
		return embedded
	}
	return describe(c.Postgres, "TEST_DATABASE_URL", postgresImage, postgres) + "; " +
		describe(c.Redis, "TEST_REDIS_URL", redisImage, redis)
}
