-- A record's place is its index in the log of its site, with the site's number
-- above the lowest 40 bits: one key for both, by which the rows lie in order, so
-- that adding to a log touches the end of one table and not an index as well.
create table placed (
  place      bigint primary key,            -- site_id << 40 | leaf index in the site's log
  time       bigint not null,
  record_id  bytea not null,                -- 16 bytes
  consent_id bytea not null,                -- 16 bytes
  salt       bytea not null,                -- 32 bytes
  payload    text not null                  -- canonical JSON of the consent record
);

insert into placed (place, time, record_id, consent_id, salt, payload)
select site_id << 40 | idx, time, record_id, consent_id, salt, payload from record order by site_id, idx;

drop table record;

alter table placed rename to record;

alter index placed_pkey rename to record_pkey;

create unique index record_by_id on record (record_id);

-- The times of each full run of 1,024 records, instead of an index on time.
create table span (
  site_id  bigint not null,
  run      bigint not null,                 -- leaf index >> 10
  earliest bigint not null,                 -- Unix milliseconds
  latest   bigint not null,
  primary key (site_id, run)
);

insert into span (site_id, run, earliest, latest)
select place >> 40, (place & 1099511627775) >> 10, min(time), max(time) from record
where place & 1099511627775 < (select size >> 10 << 10 from log where log.site_id = place >> 40) group by 1, 2;

-- What the growing entry bundle and tile of level 0 of each log held, in rows
-- that are added and not rewritten.
create table tail (
  site_id bigint not null,
  idx     bigint not null,                  -- leaf index of the first commitment
  data    bytea not null,                   -- commitments that no full entry bundle holds yet, 32 bytes each
  primary key (site_id, idx)
);

with recursive entry (i) as (select 0 union all select i + 1 from entry where i < 254)
insert into tail (site_id, idx, data)
select site_id, (n << 8) + i, substr(data, i * 34 + 3, 32) from tile cross join entry
where level = -1 and length(data) < 8704 and i < length(data) / 34 order by 1, 2;

delete from tile where level = -1 and length(data) < 8704 or level = 0 and length(data) < 8192;
