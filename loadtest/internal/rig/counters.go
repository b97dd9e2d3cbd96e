package rig

import (
	"context"
	"math"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Counters are what the servers behind the service have done so far. NaN is what
// cannot be read from here.
type Counters struct {
	Commands    float64 // that Redis has run, those in pipelines and scripts one by one
	RoundTrips  float64 // reads that Redis has made from its connections: one for a pipeline, if it is not long
	RedisCPU    float64 // in seconds
	PostgresCPU float64 // in seconds, of all its processes
}

// questions is how many commands it takes to read Redis's counters.
const questions = 2

// Since returns what was counted after before, without the questions themselves.
func (c Counters) Since(before Counters) Counters {
	return Counters{
		Commands:    c.Commands - before.Commands - questions,
		RoundTrips:  c.RoundTrips - before.RoundTrips - questions,
		RedisCPU:    c.RedisCPU - before.RedisCPU,
		PostgresCPU: c.PostgresCPU - before.PostgresCPU,
	}
}

// Counters reads them. Redis tells its own time, wherever it runs; that of Postgres is
// read from /proc, if it runs on this machine and its processes can be seen.
func (r *Rig) Counters(ctx context.Context) (c Counters, err error) {
	if c.PostgresCPU, err = r.postgresCPU(ctx); err != nil {
		return Counters{}, err
	}
	cpu, err := r.info(ctx, "cpu")
	if err != nil {
		return Counters{}, err
	}
	c.RedisCPU = infoFloat(cpu, "used_cpu_user") + infoFloat(cpu, "used_cpu_sys")
	stats, err := r.info(ctx, "stats")
	if err != nil {
		return Counters{}, err
	}
	commands, err := infoInt(stats, "total_commands_processed")
	c.Commands, c.RoundTrips = float64(commands), infoFloat(stats, "total_reads_processed")
	return c, err
}

func infoFloat(info map[string]string, field string) float64 {
	v, err := strconv.ParseFloat(info[field], 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

const processes = processTable("/proc")

func (r *Rig) postgresCPU(ctx context.Context) (float64, error) {
	if r.postmaster == 0 {
		if err := r.findPostmaster(ctx); err != nil {
			return 0, err
		}
	}
	if r.postmaster < 0 {
		return math.NaN(), nil
	}
	return processes.family(r.postmaster), nil
}

// findPostmaster looks among the processes of this machine for the backend that serves
// one connection.
func (r *Rig) findPostmaster(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var backend int
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return err
	}
	r.postmaster = -1
	if at, ok := conn.PgConn().Conn().LocalAddr().(*net.TCPAddr); ok {
		if pid, found := processes.postmaster(backend, at.Port); found {
			r.postmaster = pid
		}
	}
	return nil
}
