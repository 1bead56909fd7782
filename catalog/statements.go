package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// statements are those of one transaction, each prepared at its first use: a
// first build asks the same few questions for every file.
type statements struct {
	tx   *sql.Tx
	made map[string]*sql.Stmt
}

func (s statements) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if p := s.made[query]; p != nil {
		return p, nil
	}
	p, err := s.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("write catalog: %w", err)
	}
	s.made[query] = p
	return p, nil
}

func (s statements) exec(ctx context.Context, query string, args ...any) error {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return err
	}
	if _, err := p.ExecContext(unwatched(ctx), args...); err != nil {
		return fmt.Errorf("write catalog: %w", cmp.Or(ctx.Err(), err))
	}
	return nil
}

// unwatched is the context for one statement about one row or one project. Its end
// is looked at before and after: the driver starts a goroutine to interrupt each
// statement whose context can end, which costs more than the statement.
func unwatched(ctx context.Context) context.Context {
	if ctx.Err() != nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// QueryContext and QueryRowContext make statements a querier.
func (s statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.QueryContext(unwatched(ctx), args...)
}

// QueryRowContext is QueryContext for one row.
func (s statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	p, err := s.prepared(ctx, query)
	if err != nil {
		return s.tx.QueryRowContext(ctx, query, args...) // its Row carries the error
	}
	return p.QueryRowContext(unwatched(ctx), args...)
}

// reads are the questions about one project that are asked outside of
// transactions, for project after project and from several goroutines. Each is
// prepared once for a connection.
type reads struct {
	db   *sql.DB
	mu   sync.Mutex
	made map[string]*sql.Stmt
}

func (r *reads) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.made[query]; p != nil {
		return p, nil
	}
	p, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	r.made[query] = p
	return p, nil
}

// QueryContext and QueryRowContext make reads a querier.
func (r *reads) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p, err := r.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.QueryContext(unwatched(ctx), args...)
}

// QueryRowContext is QueryContext for one row.
func (r *reads) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	p, err := r.prepared(ctx, query)
	if err != nil {
		return r.db.QueryRowContext(ctx, query, args...) // its Row carries the error
	}
	return p.QueryRowContext(unwatched(ctx), args...)
}
