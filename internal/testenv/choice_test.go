package testenv_test

import (
	"strings"
	"testing"

	"example.com/communityfeed/internal/testenv"
)

func TestChooseTakesWhatItIsToldOrSaysWhyNot(t *testing.T) {
	for _, c := range []struct {
		name            string
		env             map[string]string
		postgres, redis testenv.Way
		wantErr         string
	}{
		{
			name:     "both URLs",
			env:      map[string]string{"TEST_DATABASE_URL": "postgres://db", "TEST_REDIS_URL": "redis://cache"},
			postgres: testenv.URLs, redis: testenv.URLs,
		},
		{
			name:     "one URL",
			env:      map[string]string{"TEST_DATABASE_URL": "postgres://db"},
			postgres: testenv.URLs,
		},
		{
			name:     "embedded although there are URLs",
			env:      map[string]string{"TESTENV": "embedded", "TEST_DATABASE_URL": "postgres://db", "TEST_REDIS_URL": "redis://cache"},
			postgres: testenv.Embedded, redis: testenv.Embedded,
		},
		{
			name:    "urls without URLs",
			env:     map[string]string{"TESTENV": "urls", "TEST_DATABASE_URL": "postgres://db"},
			wantErr: "TESTENV=urls needs TEST_DATABASE_URL and TEST_REDIS_URL",
		},
		{
			name:    "no such way",
			env:     map[string]string{"TESTENV": "docker"},
			wantErr: "TESTENV=docker: must be urls, containers or embedded",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"TESTENV", "TEST_DATABASE_URL", "TEST_REDIS_URL"} {
				t.Setenv(name, c.env[name])
			}
			got, err := testenv.Choose(t.Context())
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Postgres != c.postgres || (c.redis != "" && got.Redis != c.redis) {
				t.Errorf("postgres from %s, redis from %s", got.Postgres, got.Redis)
			}
		})
	}
}
