create table setting (
  name  text primary key,
  value text not null
);

create table site (
  id         bigint primary key,            -- short number used by log, record and tile
  site       text not null unique,          -- site key, public
  name       text not null,
  draft      text not null,                 -- JSON of the notice as it is being edited
  version    text,                          -- notice version in force; null before the first publication
  created_at bigint not null,
  changed_at bigint not null
);

create table site_domain (
  site_id  bigint not null references site(id) on delete cascade,
  position bigint not null,
  domain   text not null,
  primary key (site_id, domain)
);

create table notice_version (
  version      text primary key,            -- SHA-256 of content, hex
  site_id      bigint not null references site(id) on delete cascade,
  number       bigint not null,             -- 1, 2, 3 … within the site
  content      text not null,               -- canonical JSON (RFC 8785), immutable
  published_at bigint not null,
  published_by text not null,
  unique (site_id, number)
);

create table bundle (
  version text not null references notice_version(version) on delete cascade,
  build   text not null,                    -- hash of the client's sources and compiler options
  etag    text not null,
  plain   bytea not null,
  brotli  bytea not null,
  gzip    bytea not null,
  primary key (version)
);

create table log (
  site_id    bigint primary key references site(id) on delete cascade,
  origin     text not null unique,
  size       bigint not null,               -- leaves in the tree
  checkpoint bytea not null                  -- the newest signed checkpoint (C2SP tlog-checkpoint)
);

create table record (
  site_id    bigint not null,
  idx        bigint not null,               -- leaf index in the site's log
  time       bigint not null,
  record_id  bytea not null,                 -- 16 bytes
  consent_id bytea not null,                 -- 16 bytes
  salt       bytea not null,                 -- 32 bytes
  payload    text not null,                 -- canonical JSON of the consent record
  primary key (site_id, idx)
);
create unique index record_by_id on record (record_id);
-- A consent ID is random, so an index on it alone would touch another page of a
-- large index with every record. By stretches of 16,384 records, writing stays
-- in one small part; a search looks into each stretch.
create index record_by_consent on record (site_id, (idx >> 14), consent_id);
create index record_by_time on record (site_id, time, idx);

create table tile (
  site_id bigint not null,
  level   bigint not null,                  -- -1 entry bundles, 0 and up hash tiles
  n       bigint not null,
  data    bytea not null,                    -- the widest version so far
  primary key (site_id, level, n)
);

create table member (
  id         text primary key,
  email      text not null unique,          -- folded to lower case in Go
  name       text not null,
  password   text not null,                 -- argon2id, PHC string
  created_at bigint not null,
  changed_at bigint not null
);

create table session (
  token_hash   bytea primary key,            -- SHA-256 of the cookie's value
  member_id    text not null references member(id) on delete cascade,
  created_at   bigint not null,
  last_seen_at bigint not null,
  expires_at   bigint not null
);

create table setup_link (
  token_hash bytea primary key,              -- SHA-256 of the link's secret
  created_at bigint not null,
  expires_at bigint not null
);

create table activity (
  id        text primary key,               -- UUIDv7
  time      bigint not null,
  member_id text not null,                  -- empty: command line or nobody
  action    text not null,                  -- for example site.publish, member.sign_in
  site      text not null,                  -- site key, or empty
  detail    text not null                   -- JSON
);
