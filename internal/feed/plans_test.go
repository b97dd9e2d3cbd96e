package feed

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
)

// With fewer than some 30,000 posts the planner sees nothing wrong in plans that are.
//
// To see the plans and the times of a large database:
//
//	go test ./internal/feed -run Plans -bench Uncached -v -posts 1000000
var postsFlag = flag.Int64("posts", 40_000, "posts in the database whose plans are looked at")

// seeded is a database with demo data, sized by the flag.
func seeded(t testing.TB) (*pgxpool.Pool, SeedSize) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), testenv.Database(t), postgres.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	size := SeedSize{Users: max(2000, *postsFlag/10), Communities: max(50, *postsFlag/1000), Posts: *postsFlag}
	began, counts := time.Now(), map[string]int64{}
	if err := Seed(t.Context(), pool, size, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), func(table string, rows int64) {
		counts[table] = rows
	}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	var disk string
	if err := pool.QueryRow(t.Context(), `SELECT pg_size_pretty(pg_database_size(current_database()))`).Scan(&disk); err != nil {
		t.Fatal(err)
	}
	t.Logf("seeded %v in %.1f s; the database has %s", counts, took.Seconds(), disk)
	return pool, size
}

// storeOn is a store for queries, whose events nobody hears.
func storeOn(b *testing.B, pool *pgxpool.Pool) *Store {
	log := testenv.Log(b)
	return NewStore(pool, events.NewOutbox(pool, events.NewBus(log), Events, log))
}

// node is a node of a plan, as far as it matters here.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Cond     string `json:"Index Cond"`
	Plans    []node
}

func (n node) walk(visit func(node)) {
	visit(n)
	for _, below := range n.Plans {
		below.walk(visit)
	}
}

func TestFeedPlansUseTheirIndexes(t *testing.T) {
	pool, size := seeded(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	deep := position{id: PostID(size.Posts / 2)}
	if err := conn.QueryRow(t.Context(), `SELECT created_at, hot FROM posts WHERE id = $1`, deep.id).Scan(&deep.created, &deep.hot); err != nil {
		t.Fatal(err)
	}

	for _, sql := range []string{
		`INSERT INTO like_acts SELECT user_id, post_id, true, 1, 1, now() - random() * interval '3 hours' FROM likes LIMIT 20000`,
		`ANALYZE like_acts`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}

	const act = `17, 42, false, true`
	for _, q := range []struct {
		name, sql, index string
		by               string // the column that the index must be searched by, not filtered
		args             string // as they stand in EXECUTE
	}{
		{"newest, first page", newestSQL, "posts_newest", "created_at", fmt.Sprintf(`1, 21, '%s', %d`, start.created.Format(time.RFC3339Nano), start.id)},
		{"newest, deep page", newestSQL, "posts_newest", "created_at", fmt.Sprintf(`1, 21, '%s', %d`, deep.created.Format(time.RFC3339Nano), deep.id)},
		{"ranked, first page", rankedSQL, "posts_ranked", "hot", fmt.Sprintf(`1, 21, 'Infinity', %d`, start.id)},
		{"ranked, deep page", rankedSQL, "posts_ranked", "hot", fmt.Sprintf(`1, 21, %v, %d`, deep.hot, deep.id)},
		{"reader, likes", readerSQL, "likes_pkey", "user_id", `42, 1001, 200`},
		{"likes in a bucket", likesSQL, "likes_pkey", "post_id", `42, 0, 1000`},
		{"reader, acts", readerSQL, "like_acts_latest", "acted_at", `42, 1001, 200`},
		{"like", likeSQL, "posts_pkey", "id", act},
		{"unlike, of a post", unlikeSQL, "posts_pkey", "id", act},
		{"unlike, by a user", unlikeSQL, "likes_pkey", "user_id", act},
		{"acts that are forgotten", forgetSQL, "like_acts_latest", "acted_at", `42`},
	} {
		// A server that has run a statement a few times may go over to a plan that
		// does not look at its parameters.
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			t.Run(q.name+" "+mode, func(t *testing.T) {
				explain(t, conn.Conn(), mode, q.sql, q.args, q.index, q.by)
			})
		}
	}
}

// explain fails the test unless the plan of a statement searches the index by the column
// and reads no large table as a whole.
func explain(t *testing.T, conn *pgx.Conn, mode, sql, args, index, by string) {
	t.Helper()
	run := func(sql string) string {
		t.Helper()
		results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll() // PREPARE with its $1 as it stands
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var lines []string
		for _, row := range results[0].Rows {
			lines = append(lines, string(row[0]))
		}
		return strings.Join(lines, "\n")
	}
	run(`SET plan_cache_mode = ` + mode)
	run(`PREPARE looked_at AS ` + sql)
	defer run(`DEALLOCATE looked_at`)

	t.Logf("%s\n%s", sql, run(`EXPLAIN (ANALYZE, BUFFERS) EXECUTE looked_at (`+args+`)`))
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(run(`EXPLAIN (FORMAT JSON) EXECUTE looked_at (`+args+`)`)), &plans); err != nil {
		t.Fatal(err)
	}
	used := false
	plans[0].Plan.walk(func(n node) {
		used = used || n.Index == index && strings.Contains(n.Cond, by)
		if n.Type == "Seq Scan" && slices.Contains([]string{"posts", "post_translations", "likes", "members", "like_acts"}, n.Relation) {
			t.Errorf("the plan reads the whole of %s", n.Relation)
		}
	})
	if !used {
		t.Errorf("the plan does not search %s by %s", index, by)
	}
}

// BenchmarkUncachedPage composes pages as a miss does, of communities and for
// readers drawn at random, and reports the median and the 99th percentile.
func BenchmarkUncachedPage(b *testing.B) {
	pool, size := seeded(b)
	s := storeOn(b, pool)
	d := rand.New(rand.NewPCG(1, 1))
	for _, order := range []Order{Newest, Ranked} {
		b.Run(string(order), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				community := CommunityID(1 + d.Int64N(size.Communities))
				if (world{}).isPrivate(int64(community)) {
					continue
				}
				viewer := identity.UserID(1 + d.Int64N(size.Users))
				began := time.Now()
				shared, err := s.Shared(b.Context(), community, order, start, 20)
				if err != nil {
					b.Fatal(err)
				}
				reader, err := s.Reader(b.Context(), viewer)
				if err != nil {
					b.Fatal(err)
				}
				_ = personalView{Reader: reader}.shows(shared.Posts, "de")
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkPreparing asks for a shared part in each way that pgx has to send a query:
// prepared once for each connection, which is what happens when nobody says otherwise,
// described once, and parsed and planned anew each time.
func BenchmarkPreparing(b *testing.B) {
	pool, _ := seeded(b)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec,
	} {
		b.Run(strings.ReplaceAll(mode.String(), " ", "-"), func(b *testing.B) {
			config := pool.Config()
			config.ConnConfig.DefaultQueryExecMode = mode
			asking, err := pgxpool.NewWithConfig(b.Context(), config)
			if err != nil {
				b.Fatal(err)
			}
			defer asking.Close()
			s := storeOn(b, asking)
			for b.Loop() {
				if _, err := s.Shared(b.Context(), 12, Newest, start, 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
