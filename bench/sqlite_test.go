package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"audittrail/event"
)

// A sqliteLog keeps events as an application with SQLite would: a table with a
// column for each cleartext field and the rest as JSON, indexes for the queries
// of this benchmark, one of which covers the sums, and an FTS5 table without
// content of its own. Nothing is encrypted, signed or chained.
type sqliteLog struct {
	db *sql.DB
}

// The settings of the SQLite writer. The cache is as large as that of
// AuditTrail's index; in a WAL, FULL syncs with each transaction.
var sqlitePragmas = []string{
	"journal_mode(WAL)", "synchronous(FULL)", "cache_size(-196608)", "temp_store(MEMORY)", "mmap_size(1073741824)",
}

const sqliteSchema = `
CREATE TABLE events (
	seq INTEGER PRIMARY KEY, time INTEGER, type TEXT, model TEXT, version TEXT, provider TEXT, deployment TEXT,
	user TEXT, session TEXT, trace TEXT, span TEXT, outcome TEXT, severity TEXT, category TEXT, finish TEXT,
	producer TEXT, producer_seq INTEGER, team TEXT, env TEXT, tool TEXT,
	latency INTEGER, input INTEGER, output INTEGER, cost INTEGER, currency TEXT, body TEXT);
CREATE INDEX by_user ON events (user, time);
CREATE INDEX by_trace ON events (trace);
CREATE INDEX by_team ON events (team);
CREATE INDEX by_model ON events (model, time, latency, input, output, cost);
CREATE VIRTUAL TABLE texts USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 2');`

func openSQLite(dir string) (*sqliteLog, error) {
	v := url.Values{"_pragma": sqlitePragmas}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "events.db")+"?"+v.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &sqliteLog{db}, nil
}

// sqliteBatch is the number of events in a transaction.
const sqliteBatch = 1000

// fill inserts events that another goroutine generates concurrently.
func (l *sqliteLog) fill(ctx context.Context, n int, made func(i int) event.Event) error {
	if _, err := l.db.ExecContext(ctx, sqliteSchema); err != nil {
		return err
	}
	batches := make(chan []event.Event, 4)
	go func() {
		defer close(batches)
		for at := 0; at < n; at += sqliteBatch {
			some := make([]event.Event, 0, sqliteBatch)
			for i := at; i < min(n, at+sqliteBatch); i++ {
				some = append(some, made(i))
			}
			select {
			case batches <- some:
			case <-ctx.Done():
				return
			}
		}
	}()
	at := 0
	for some := range batches {
		if err := l.insert(ctx, at, some); err != nil {
			return err
		}
		at += len(some)
	}
	return ctx.Err()
}

func (l *sqliteLog) insert(ctx context.Context, at int, some []event.Event) (err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	row, err := tx.PrepareContext(ctx, "INSERT INTO events VALUES (?"+strings.Repeat(",?", 25)+")")
	if err != nil {
		return err
	}
	text, err := tx.PrepareContext(ctx, "INSERT INTO texts (rowid, text) VALUES (?, ?)")
	if err != nil {
		return err
	}
	for i := range some {
		values, err := sqliteRow(at+i, &some[i])
		if err != nil {
			return err
		}
		if _, err := row.ExecContext(ctx, values...); err != nil {
			return err
		}
		if _, err := text.ExecContext(ctx, at+i, textOf(&some[i])); err != nil {
			return err
		}
	}
	if err := errors.Join(row.Close(), text.Close()); err != nil {
		return err
	}
	return tx.Commit()
}

func sqliteRow(seq int, e *event.Event) ([]any, error) {
	content := map[string]any{}
	var tool string
	if e.Prompt != "" {
		content["prompt"] = e.Prompt
	}
	if e.Response != "" {
		content["response"] = e.Response
	}
	if e.Error != "" {
		content["error"] = e.Error
	}
	if e.Tool != nil {
		tool = e.Tool.Name
		content["call_id"], content["arguments"], content["result"] = e.Tool.CallID, e.Tool.Arguments, e.Tool.Result
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var latency, cost, currency any
	if e.Latency != nil {
		latency = e.Latency.Microseconds()
	}
	if e.Cost != nil {
		cost, currency = e.Cost.Nano, e.Cost.Currency
	}
	return []any{
		seq, e.Time.UnixNano(), string(e.Type), e.ModelID, e.ModelVersion, e.Provider, e.DeploymentID,
		e.UserID, e.SessionID, e.TraceID, e.SpanID, e.Outcome, text(e.Severity), e.Category, text(e.FinishReason),
		e.Producer.ID, int64(*e.Producer.Seq), e.Labels["team"], e.Labels["env"], text(tool),
		latency, known(e.InputTokens), known(e.OutputTokens), cost, currency, string(body),
	}, nil
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func known(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// textOf returns the searchable text of an event.
func textOf(e *event.Event) string {
	s := e.Prompt + " \n" + e.Response + " \n" + e.Error
	if e.Tool != nil {
		s += " \n" + string(e.Tool.Arguments) + " \n" + string(e.Tool.Result)
	}
	return s
}

// settle makes reading as fast as possible: one segment of the full-text index,
// statistics for the planner, no WAL.
func (l *sqliteLog) settle(ctx context.Context) error {
	for _, s := range []string{"INSERT INTO texts (texts) VALUES ('optimize')", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := l.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// ask runs a query, reads its whole result, and returns the number of rows, or
// the only number in it.
func (l *sqliteLog) ask(ctx context.Context, q string, args ...any) (n int64, err error) {
	rows, err := l.db.QueryContext(ctx, q, args...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return 0, err
		}
		n++
	}
	if names[0] == "count" {
		return values[0].(int64), rows.Err()
	}
	return n, rows.Err()
}

// weight returns the size of the whole database, and of the full-text index in
// it.
func (l *sqliteLog) weight(ctx context.Context) (all, fts int64, err error) {
	err = errors.Join(
		l.db.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&all),
		l.db.QueryRowContext(ctx, "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'texts%'").Scan(&fts),
	)
	return all, fts, err
}
