package products

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/problem"
)

// Store is the domain's SQL. Reads go to the read pool, each in one round trip on
// one connection; writes run as one transaction each, together with the rows of
// their events. A write that finds nothing to change emits nothing.
//
// Errors that a client may know are problem errors; every other one is internal.
type Store struct {
	read   *pgxpool.Pool
	outbox *events.Outbox
}

// NewStore returns a store that reads from the pool and writes through the outbox.
func NewStore(read *pgxpool.Pool, outbox *events.Outbox) *Store {
	return &Store{read: read, outbox: outbox}
}

const columns = `id, name, category, price_amount, price_currency, stock, version`

func scan(row pgx.CollectableRow) (Product, error) {
	var p Product
	err := row.Scan(&p.ID, &p.Name, &p.Category, &p.Price.Amount, &p.Price.Currency, &p.Stock, &p.Version)
	return p, err
}

// List returns one page of a category, or with category "" of the catalogue, in
// the order of the ids; pages count from 1. Total is how many products there are
// on all its pages.
func (s *Store) List(ctx context.Context, category Category, page, perPage int) (list []Product, total int64, err error) {
	var where string
	var args []any
	if category != "" {
		where, args = `WHERE category = $1`, append(args, category)
	}
	var batch pgx.Batch
	batch.Queue(`SELECT count(*) FROM products `+where, args...).QueryRow(func(row pgx.Row) error {
		return row.Scan(&total)
	})
	batch.Queue(fmt.Sprintf(`SELECT %s FROM products %s ORDER BY id LIMIT $%d OFFSET $%d`,
		columns, where, len(args)+1, len(args)+2), append(args, perPage, (page-1)*perPage)...).
		Query(func(rows pgx.Rows) (err error) {
			list, err = pgx.CollectRows(rows, scan)
			return err
		})
	if err := s.read.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("listing products: %w", err)
	}
	return list, total, nil
}

// Product reads one product.
func (s *Store) Product(ctx context.Context, id ID) (Product, error) {
	rows, err := s.read.Query(ctx, `SELECT `+columns+` FROM products WHERE id = $1`, id)
	return one(rows, err, id)
}

// one reads the row of a query for one product.
func one(rows pgx.Rows, err error, id ID) (Product, error) {
	var p Product
	if err == nil {
		p, err = pgx.CollectExactlyOneRow(rows, scan)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return Product{}, problem.NotFound(fmt.Sprintf("product %d", id))
	}
	if err != nil {
		return Product{}, fmt.Errorf("reading product %d: %w", id, err)
	}
	return p, nil
}

// Create adds a product to the catalogue.
func (s *Store) Create(ctx context.Context, f Fields) (Product, error) {
	created := Product{Fields: f}
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		if err := tx.QueryRow(ctx, `
			INSERT INTO products (name, category, price_amount, price_currency, stock)
			VALUES ($1, $2, $3, $4, $5)
			RETURNING id, version`, f.Name, f.Category, f.Price.Amount, f.Price.Currency, f.Stock).
			Scan(&created.ID, &created.Version); err != nil {
			return fmt.Errorf("inserting a product: %w", err)
		}
		tx.Emit(ProductCreated{Product: created})
		return nil
	})
	return created, err
}

// hold locks a product's row until the transaction ends, and compares it with the
// preconditions: nobody can change it after that.
func hold(ctx context.Context, tx *events.Tx, id ID, want cachehttp.Preconditions) (Product, error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM products WHERE id = $1 FOR UPDATE`, id)
	p, err := one(rows, err, id)
	if err != nil {
		return Product{}, err
	}
	return p, want.Check(p.Version)
}

// Update replaces what is said of a product that fulfils the preconditions. Saying
// the same again changes nothing, not even its version.
func (s *Store) Update(ctx context.Context, id ID, f Fields, want cachehttp.Preconditions) (Product, error) {
	var after Product
	err := s.outbox.Write(ctx, func(tx *events.Tx) error {
		before, err := hold(ctx, tx, id, want)
		if err != nil {
			return err
		}
		after = Product{ID: id, Fields: f, Version: before.Version}
		if after == before {
			return nil
		}
		after.Version++ // the row is ours until the end
		tx.Queue(`
			UPDATE products
			SET name = $2, category = $3, price_amount = $4, price_currency = $5, stock = $6,
			    version = $7, updated_at = now()
			WHERE id = $1`, id, f.Name, f.Category, f.Price.Amount, f.Price.Currency, f.Stock, after.Version)
		tx.Emit(ProductUpdated{Before: before, After: after})
		return nil
	})
	return after, err
}

// Delete takes a product that fulfils the preconditions out of the catalogue.
func (s *Store) Delete(ctx context.Context, id ID, want cachehttp.Preconditions) error {
	return s.outbox.Write(ctx, func(tx *events.Tx) error {
		last, err := hold(ctx, tx, id, want)
		if err != nil {
			return err
		}
		tx.Queue(`DELETE FROM products WHERE id = $1`, id)
		tx.Emit(ProductDeleted{Product: last})
		return nil
	})
}
