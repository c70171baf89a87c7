CREATE TABLE activity (
  id        text primary key,               -- UUIDv7
  time      bigint not null,
  member_id text not null,                  -- empty: command line or nobody
  action    text not null,                  -- for example site.publish, member.sign_in
  site      text not null,                  -- site key, or empty
  detail    text not null                   -- JSON
) without rowid
CREATE TABLE bundle (
  version text not null references notice_version(version) on delete cascade,
  build   text not null,                    -- hash of the client's sources and compiler options
  etag    text not null,
  plain   blob not null,
  brotli  blob not null,
  gzip    blob not null,
  primary key (version)
)
CREATE TABLE bundle_part (
  version text not null references notice_version(version) on delete cascade,
  name    text not null,                    -- boot, core.de, ask.de, more.de
  etag    text not null,
  plain   blob not null,
  brotli  blob not null,
  gzip    blob not null,
  primary key (version, name)
)
CREATE TABLE consent_place (
  site_id bigint not null,
  stretch bigint not null,                  -- idx >> 16: entering stays in one small part, a search looks into each
  prefix  blob not null,                    -- first 4 bytes of the consent ID; the record has the rest
  idx     bigint not null,
  primary key (site_id, stretch, prefix, idx)
) without rowid
CREATE TABLE cosigned (
  site_id    bigint not null primary key references site(id) on delete cascade,
  size       bigint not null,
  checkpoint text not null,               -- signed note with the cosignatures
  witnesses  text not null,               -- verifier keys in the order of the cosignatures, a line each
  at         bigint not null              -- when it was stored
)
CREATE TABLE counter (
  site_id   integer not null references site(id) on delete cascade,
  slot      integer not null,                 -- when the hour or the day began, Unix milliseconds
  hours     integer not null,                 -- 1: an hour; 24: a day of the site's time zone
  dimension text not null,                    -- '' for all together, or country, language, …
  data      blob not null,                    -- values with their counts (internal/stats/pack.go)
  primary key (site_id, slot, hours, dimension)
)
CREATE TABLE counting (
  site_id   integer primary key references site(id) on delete cascade,
  counted   integer not null,                 -- index of the first record that is not counted yet
  threshold integer not null,                 -- smaller counts of a value are not shown
  days      integer not null,                 -- how long counters are kept
  zone      text not null                     -- IANA name, of the days
)
CREATE TABLE erased (
  place integer primary key,                -- site_id << 40 | index that the record had
  mark  blob not null,                      -- keyed hash of the record ID, 16 bytes: register.Mark
  act   bigint not null                     -- index of the erasure leaf, in the same log
)
CREATE UNIQUE INDEX erased_by_mark on erased (mark)
CREATE TABLE erasure (
  site_id   bigint not null,
  idx       bigint not null,                -- index of the erasure leaf
  time      bigint not null,
  reason    text not null,                  -- request, retention …: register.Reasons
  count     bigint not null,                -- records that it erased
  salt      blob not null,                  -- 32 bytes; no secret, the statement names nobody
  statement text not null,                  -- canonical JSON (RFC 8785) of receipt.Statement
  primary key (site_id, idx)
) without rowid
CREATE TABLE handover_used (
  id       text not null primary key,       -- of the token, 32 hex digits
  until    bigint not null                  -- when it has been out of date for long
)
CREATE INDEX handover_used_by_age on handover_used (until)
CREATE TABLE log (
  site_id    bigint primary key references site(id) on delete cascade,
  origin     text not null unique,
  size       bigint not null,               -- leaves in the tree
  checkpoint blob not null                  -- the newest signed checkpoint (C2SP tlog-checkpoint)
)
CREATE TABLE member (
  id         text primary key,
  email      text not null unique,          -- folded to lower case in Go
  name       text not null,
  password   text not null,                 -- argon2id, PHC string
  created_at bigint not null,
  changed_at bigint not null
) without rowid
CREATE TABLE notice_version (
  version      text primary key,            -- SHA-256 of content, hex
  site_id      bigint not null references site(id) on delete cascade,
  number       bigint not null,             -- 1, 2, 3 … within the site
  content      text not null,               -- canonical JSON (RFC 8785), immutable
  published_at bigint not null,
  published_by text not null,
  unique (site_id, number)
) without rowid
CREATE TABLE predecessor (
  site_id         bigint not null references site(id) on delete cascade,
  number          bigint not null,          -- 1, 2 … in the order of the restorations
  origin          text not null,            -- the name that is used no more
  size            bigint not null,          -- leaves that the new name took over
  checkpoint      blob not null,            -- of that size, signed under the old name
  last_checkpoint blob,                     -- the newest one known of the old name; null: none is known
  restored_at     bigint not null,
  primary key (site_id, number)
) without rowid
CREATE TABLE "record" (
  place      integer primary key,           -- site_id << 40 | leaf index in the site's log
  time       bigint not null,
  record_id  blob not null,                 -- 16 bytes
  consent_id blob not null,                 -- 16 bytes
  salt       blob not null,                 -- 32 bytes
  payload    text not null                  -- canonical JSON of the consent record
)
CREATE UNIQUE INDEX record_by_id on record (record_id)
CREATE TABLE retention_rule (
  site_id bigint not null,                  -- 0: every site without a rule of its own
  regime  text not null,                    -- name of a regime pack; empty: every other
  months  bigint not null,                  -- after the decision was replaced or ran out
  primary key (site_id, regime)
) without rowid
CREATE TABLE schema_migration (number bigint primary key, name text not null, applied_at bigint not null, compatible_with bigint not null default 1000000)
CREATE TABLE seen (
  site_id   bigint not null references site(id) on delete cascade,
  kind      text not null,                  -- cookie, local_storage, session_storage, indexed_db, request; other: found no room
  name      text not null,                  -- class of a host or of a name
  directive text not null,                  -- of a request; else empty
  allowed   boolean not null,               -- let through; else blocked
  page      text not null,                  -- class of the path, or empty beyond the first pages
  first_at  bigint not null,                -- days only
  last_at   bigint not null,
  count     bigint not null,
  primary key (site_id, kind, name, directive, allowed, page)
)
CREATE INDEX seen_by_age on seen (last_at)
CREATE TABLE seen_ignored (
  site_id bigint not null references site(id) on delete cascade,
  kind    text not null,
  name    text not null,
  primary key (site_id, kind, name)
)
CREATE TABLE session (
  token_hash   blob primary key,            -- SHA-256 of the cookie's value
  member_id    text not null references member(id) on delete cascade,
  created_at   bigint not null,
  last_seen_at bigint not null,
  expires_at   bigint not null
) without rowid
CREATE TABLE setting (
  name  text primary key,
  value text not null
) without rowid
CREATE TABLE setup_link (
  token_hash blob primary key,              -- SHA-256 of the link's secret
  created_at bigint not null,
  expires_at bigint not null
, member_id text references member(id) on delete cascade) without rowid
CREATE TABLE site (
  id         integer primary key,           -- short number used by log, record and tile
  site       text not null unique,          -- site key, public
  name       text not null,
  draft      text not null,                 -- JSON of the notice as it is being edited
  version    text,                          -- notice version in force; null before the first publication
  created_at bigint not null,
  changed_at bigint not null
)
CREATE TABLE site_domain (
  site_id  bigint not null references site(id) on delete cascade,
  position bigint not null,
  domain   text not null,
  primary key (site_id, domain)
) without rowid
CREATE TABLE span (
  site_id  bigint not null,
  run      bigint not null,                 -- leaf index >> 10
  earliest bigint not null,                 -- Unix milliseconds
  latest   bigint not null,
  primary key (site_id, run)
) without rowid
CREATE TABLE tail (
  site_id bigint not null,
  idx     bigint not null,                  -- leaf index of the first commitment
  data    blob not null,                    -- commitments that no full entry bundle holds yet, 32 bytes each
  primary key (site_id, idx)
) without rowid
CREATE TABLE tile (
  site_id bigint not null,
  level   bigint not null,                  -- -1 entry bundles, 0 and up hash tiles
  n       bigint not null,
  data    blob not null,                    -- the widest version so far
  primary key (site_id, level, n)
) without rowid
CREATE TABLE visitor_salt (
  day  integer primary key,                   -- UTC, Unix milliseconds
  salt blob not null
)
CREATE TABLE visitor_seen (
  day  integer not null,
  hash blob not null,
  primary key (day, hash)
) without rowid
CREATE TABLE witness (
  vkey     text not null primary key,     -- verifier key of the cosigner
  url      text not null,                 -- its submission prefix
  added_at bigint not null
)
CREATE TABLE witnessed (
  origin     text not null primary key,
  vkey       text not null,               -- note verifier key of the log
  size       bigint not null,             -- last cosigned; 0: never
  root       text not null,               -- base64, of that size; empty: never
  checkpoint text not null                -- signed and cosigned note; empty: never
)
