package products

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SeedSize is how many rows of demo data there are to be.
type SeedSize struct {
	Products int64
}

// Empty tells whether the domain holds no data.
func Empty(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var empty bool
	if err := pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM products)`).Scan(&empty); err != nil {
		return false, fmt.Errorf("looking for products: %w", err)
	}
	return empty, nil
}

// Wipe deletes all data of the domain. It tells no cache.
func Wipe(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, `TRUNCATE products RESTART IDENTITY`); err != nil {
		return fmt.Errorf("emptying products: %w", err)
	}
	return nil
}

// Seed fills an empty domain with demo data, all of it or none. The same size and
// the same now give the same rows. It streams them, so its memory does not grow
// with their number. progress, which may be nil, hears from time to time how many
// rows of a table have been sent, and at its end how many there are.
func Seed(ctx context.Context, pool *pgxpool.Pool, size SeedSize, now time.Time, progress func(table string, rows int64)) error {
	if size.Products < 0 {
		return fmt.Errorf("demo data cannot have %d products", size.Products)
	}
	if progress == nil {
		progress = func(string, int64) {}
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Filling a large table is not what the limit for statements is for.
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return fmt.Errorf("lifting the statement timeout: %w", err)
		}
		columns := []string{"id", "name", "category", "price_amount", "price_currency", "stock", "created_at", "updated_at"}
		rows, err := tx.CopyFrom(ctx, pgx.Identifier{"products"}, columns, demoRows(size, now.UTC().Truncate(time.Second), progress))
		if err != nil {
			return fmt.Errorf("copying into products: %w", err)
		}
		progress("products", rows)
		if rows == 0 {
			return nil
		}
		// The next ids follow those that were seeded.
		if _, err := tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence('products', 'id'), $1)`, rows); err != nil {
			return fmt.Errorf("moving the sequence of products: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("seeding the catalogue: %w", err)
	}
	// Without it, the first readers would meet plans made for empty tables. Workers
	// would need more shared memory than a container has by default.
	if _, err := pool.Exec(ctx, `VACUUM (ANALYZE, PARALLEL 0) products`); err != nil {
		return fmt.Errorf("analyzing what was seeded: %w", err)
	}
	return nil
}

// demoRows makes the rows one by one as they are sent.
func demoRows(size SeedSize, now time.Time, progress func(string, int64)) pgx.CopyFromSource {
	const often = 10_000
	kinds := [...]string{"Pocket", "Travel", "Garden", "Winter", "Children's", "Studio", "Everyday", "Folding", "Second-hand"}
	things := [...][2]string{ // what, and its category
		{"atlas", "books"}, {"cookbook", "books"}, {"chess set", "games"}, {"card game", "games"}, {"watering can", "garden"},
		{"seed box", "garden"}, {"kettle", "kitchen"}, {"bread knife", "kitchen"}, {"ukulele", "music"}, {"metronome", "music"},
		{"notebook", "office"}, {"desk lamp", "office"}, {"swim goggles", "sports"}, {"skipping rope", "sports"}, {"kite", "toys"},
		{"wooden train", "toys"},
	}
	currencies := [...]string{"EUR", "EUR", "EUR", "USD", "GBP", "BRL", "JPY"}
	d := rand.New(rand.NewPCG(0x636174616c6f67, 0))
	var id int64
	return pgx.CopyFromFunc(func() ([]any, error) {
		if id == size.Products {
			return nil, nil
		}
		if id++; id%often == 0 {
			progress("products", id)
		}
		thing := things[d.IntN(len(things))]
		name := fmt.Sprintf("%s %s No. %d", kinds[d.IntN(len(kinds))], thing[0], id)
		price := 99 + 50*d.Int64N(400)
		return []any{id, name, thing[1], price, currencies[d.IntN(len(currencies))], int32(d.IntN(200)), now, now}, nil
	})
}
