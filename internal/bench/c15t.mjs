// Starts c15t as its self-host guides describe, for a comparison under the same
// load. Arguments: port, then a SQLite file or a postgres:// address. Durability
// is what Assent's is: WAL with synchronous=FULL.
import { Kysely, PostgresDialect, SqliteDialect } from 'kysely'
import { c15tInstance } from '@c15t/backend'
import { kyselyAdapter } from '@c15t/backend/db/adapters/kysely'
import { DB } from '@c15t/backend/db/schema'
import { serve } from '@hono/node-server'

const [port, database] = process.argv.slice(-2)

async function connect() {
  if (database.startsWith('postgres:')) {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ connectionString: database, max: 16 })
    return { db: new Kysely({ dialect: new PostgresDialect({ pool }) }), provider: 'postgresql' }
  }
  const { default: Sqlite } = await import('better-sqlite3')
  const file = new Sqlite(database)
  file.pragma('journal_mode = WAL')
  file.pragma('synchronous = FULL')
  return { db: new Kysely({ dialect: new SqliteDialect({ database: file }) }), provider: 'sqlite' }
}

const adapter = kyselyAdapter(await connect())
const migration = await DB.client(adapter).createMigrator().migrateToLatest()
await migration.execute()
const { handler } = c15tInstance({
  appName: 'benchmark', basePath: '/', adapter, trustedOrigins: ['https://shop.example'],
  logger: { level: 'error' }, advanced: { disableGeoLocation: true },
})
serve({ fetch: handler, port: Number(port), hostname: '127.0.0.1' })
process.stdin.on('end', () => process.exit(0)).resume()
