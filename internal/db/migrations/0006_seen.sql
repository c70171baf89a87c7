-- What pages wanted to load or store and no service declares. Counters, rolled
-- up in memory and added once a second; no row is about one visitor.
create table seen (
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
);
create index seen_by_age on seen (last_at);

create table seen_ignored (
  site_id bigint not null references site(id) on delete cascade,
  kind    text not null,
  name    text not null,
  primary key (site_id, kind, name)
);
