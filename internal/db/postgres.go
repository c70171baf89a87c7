package db

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"time"

	"assent/internal/fault"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Connection is a pool to a PostgreSQL database whose schema is not looked at.
type Connection struct {
	*sql.DB
	db *DB
}

// Connect opens a PostgreSQL database as it is, for what is done to its schema.
func Connect(ctx context.Context, address string) (*Connection, error) {
	d, err := openPostgres(ctx, Options{URL: address})
	if err != nil {
		return nil, err
	}
	return &Connection{d.write, d}, nil
}

// Explain is DB.Explain.
func (c *Connection) Explain(err error) error { return c.db.Explain(err) }

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		// The cause may quote the password, so it is dropped.
		return nil, fault.New(fault.Invalid, "The --database address cannot be read. It looks like postgres://user:password@host:5432/name.")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	if o.ReadOnly {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	d := &DB{Engine: Postgres, read: pool, write: pool}
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, d.Explain(err)
	}
	var version int
	if err := pool.QueryRowContext(ctx, "select current_setting('server_version_num')::int").Scan(&version); err != nil {
		pool.Close()
		return nil, d.Explain(err)
	}
	if version < 130000 {
		pool.Close()
		return nil, fault.New(fault.Unavailable, "This PostgreSQL server is older than 13. Upgrade it to a supported release.")
	}
	return d, nil
}

func explainPostgres(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "53100":
			return "The PostgreSQL server's disk is full. Nothing was recorded; free some space and try again."
		case pg.Code == "25006":
			return "This PostgreSQL server only takes reads (a standby, or default_transaction_read_only). Point --database at the primary."
		case pg.Code == "28P01" || pg.Code == "28000":
			return "The PostgreSQL server refused the user name or password in --database."
		case pg.Code == "3D000":
			return "The database named in --database does not exist. Create it (createdb) and start again."
		case pg.Code == "42501":
			return "This PostgreSQL user may not do that. Make it the owner of the database's schema."
		case pg.Code == "55P03" || pg.Code == "40P01":
			return "The PostgreSQL database is locked by another session. Wait for it to finish, then try again."
		case pg.Code == "53300":
			return "The PostgreSQL server has no free connections. Raise max_connections or lower the number of nodes."
		case pg.Code[:2] == "57" || pg.Code[:2] == "08" || pg.Code[:2] == "53":
			return "The PostgreSQL server is not available just now. Nothing was recorded; it is tried again with the next request."
		}
	}
	var netErr *net.OpError
	var connect *pgconn.ConnectError
	if errors.As(err, &netErr) || errors.As(err, &connect) || errors.Is(err, sql.ErrConnDone) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return "The PostgreSQL server cannot be reached. Check that it is running and that the host and port in --database are right."
	}
	return ""
}
