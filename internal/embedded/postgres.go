package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// keepPostgres runs Postgres in the keeper: it returns when ctx has ended and
// Postgres is gone, or when Postgres could not be started.
func keepPostgres(ctx context.Context, o order, ready func(url string)) (err error) {
	if o.Binaries != "" {
		o.Archives = "" // not needed
	}
	if err := giveUpRoot(o.Archives); err != nil {
		return err
	}
	folder, err := workFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave(folder)) }()
	if !writable(o.Archives) {
		o.Archives = folder // fetched for this once
	}

	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		password := rand.Text()
		server := embeddedpostgres.NewDatabase(postgresConfig(o, folder, port, password))
		started := make(chan error, 1)
		go func() { started <- server.Start() }()

		select {
		case err = <-started:
		case <-ctx.Done():
			if fetching(o) {
				return nil // nothing runs yet that would have to be stopped
			}
			err = <-started // seconds: stopping half a start safely is not quicker
		}
		switch {
		case err == nil:
			ready(postgresURL(port, password))
			<-ctx.Done()
			return server.Stop()
		case ctx.Err() == nil && attempt < startAttempts && taken(port):
			continue
		case o.Binaries == "":
			return fmt.Errorf("%w (PostgreSQL %s or newer on this machine makes fetching unnecessary)", err, oldestPostgres)
		default:
			return err
		}
	}
}

func postgresConfig(o order, folder string, port int, password string) embeddedpostgres.Config {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // Debian's default belongs to the user postgres
		"max_connections":         "200",
		"timezone":                "UTC",
	}
	if o.Volatile {
		for _, guard := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			settings[guard] = "off"
		}
	}
	config := embeddedpostgres.DefaultConfig().
		Version(fetched).
		CachePath(o.Archives).
		RuntimePath(filepath.Join(folder, "run")).
		DataPath(filepath.Join(folder, "data")).
		Port(uint32(port)).
		Password(password).
		Locale("C").Encoding("UTF8"). // the same order of text on every machine
		StartParameters(settings).
		StartTimeout(startLimit).
		Logger(io.Discard)
	if o.Binaries != "" {
		config = config.BinariesPath(filepath.Dir(o.Binaries))
	}
	if o.Repository != "" {
		config = config.BinaryRepositoryURL(o.Repository)
	}
	return config
}

func postgresURL(port int, password string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// fetching tells whether the archive of Postgres is still on its way.
func fetching(o order) bool {
	there, _ := filepath.Glob(filepath.Join(o.Archives, "*.txz"))
	return o.Binaries == "" && len(there) == 0
}
