package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
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

// How long a database may be silent before a connection to it counts as lost: a
// primary that lost its power sends no goodbye, and its successor waits.
const (
	connectTime = 2 * time.Second // for each of several hosts
	silenceTime = 5 * time.Second
)

// postgresConfig reads an address, which may name several hosts, and sees to it
// that connections end that are of no use any more: to a server that is gone, and
// to one that was a primary and takes only reads now.
func postgresConfig(address string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// The cause may quote the password, so it is dropped.
		return nil, fault.New(fault.Invalid, "The --database address cannot be read. It looks like postgres://user:password@host:5432/name.")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTime
		if len(cfg.Fallbacks) == 0 {
			cfg.ConnectTimeout = 5 * time.Second
		}
	}
	dialer := &net.Dialer{Control: noticeSilence, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silenceTime / 2, Interval: time.Second, Count: 3}}
	cfg.DialFunc = dialer.DialContext
	usual := cfg.OnPgError
	cfg.OnPgError = func(c *pgconn.PgConn, e *pgconn.PgError) bool {
		return e.Code != "25006" && usual(c, e) // read_only_sql_transaction
	}
	return cfg, nil
}

// Connect opens a PostgreSQL connection outside the pool, for work that is in a
// hurry and holds locks on what other nodes wait for. The server gives those
// locks back within seconds when this process, or the network, goes away while
// a transaction is open.
func (d *DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := postgresConfig(d.address)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"application_name": "assent register", "idle_in_transaction_session_timeout": "3000",
		"tcp_user_timeout": "5000", "tcp_keepalives_idle": "3", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3",
		// Its statements look a few rows up by key and are the same all day, but the
		// tables' statistics can be of the day before, when they were empty.
		"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off", "plan_cache_mode": "force_generic_plan",
	} {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	return conn, d.Explain(err)
}

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	cfg, err := postgresConfig(o.URL)
	if err != nil {
		return nil, err
	}
	if o.ReadOnly {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	d := &DB{Engine: Postgres, read: pool, write: pool, address: o.URL}
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
	if errors.As(err, &netErr) || errors.As(err, &connect) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
		return "The PostgreSQL server cannot be reached. Check that it is running and that the host and port in --database are right."
	}
	return ""
}
