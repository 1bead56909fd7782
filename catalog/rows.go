package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"nestgen/packaging"
)

// found gives what a query finds, a row at a time, each as read makes a value of it.
// Nothing comes after an error.
func found[T any](ctx context.Context, q querier, read func(*sql.Rows) (T, error), query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := q.QueryContext(ctx, query, args...)
		if err != nil {
			yield(none, fmt.Errorf("read catalog: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			v, err := read(rows)
			if err != nil {
				yield(none, fmt.Errorf("read catalog: %w", err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, fmt.Errorf("read catalog: %w", err))
		}
	}
}

// foundAll is found for all rows at once.
func foundAll[T any](ctx context.Context, q querier, read func(*sql.Rows) (T, error), query string, args ...any) (all []T, err error) {
	for v, err := range found(ctx, q, read, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// column gives what a query for one column finds.
func column[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	return foundAll(ctx, q, func(rows *sql.Rows) (v T, err error) {
		err = rows.Scan(&v)
		return v, err
	}, query, args...)
}

// projectNames is column for names.
func projectNames(ctx context.Context, q querier, query string, args ...any) ([]packaging.Name, error) {
	return column[packaging.Name](ctx, q, query, args...)
}

// A pair is a row of two columns.
type pair[K, V any] struct {
	key   K
	value V
}

func readPair[K, V any](rows *sql.Rows) (p pair[K, V], err error) {
	err = rows.Scan(&p.key, &p.value)
	return p, err
}

// byKey gives what a query for two columns finds, the second by the first.
func byKey[K comparable, V any](ctx context.Context, q querier, query string, args ...any) (map[K]V, error) {
	all := map[K]V{}
	for p, err := range found(ctx, q, readPair[K, V], query, args...) {
		if err != nil {
			return nil, err
		}
		all[p.key] = p.value
	}
	return all, nil
}

// fileReader reads rows of fileColumns.
func fileReader() func(*sql.Rows) (File, error) {
	var last File
	return func(rows *sql.Rows) (_ File, err error) {
		last, err = scanFile(rows, &last)
		return last, err
	}
}
