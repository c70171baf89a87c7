-- compatible with 12
-- Counters of a site's banner and pages: how often, by one dimension at a time, in
-- an hour or (older ones) in a day. No row is about one visitor.
create table counter (
  site_id   integer not null references site(id) on delete cascade,
  slot      integer not null,                 -- when the hour or the day began, Unix milliseconds
  hours     integer not null,                 -- 1: an hour; 24: a day of the site's time zone
  dimension text not null,                    -- '' for all together, or country, language, …
  data      blob not null,                    -- values with their counts (internal/stats/pack.go)
  primary key (site_id, slot, hours, dimension)
);

-- What a site wants to be counted like, and how far its register is counted.
create table counting (
  site_id   integer primary key references site(id) on delete cascade,
  counted   integer not null,                 -- index of the first record that is not counted yet
  threshold integer not null,                 -- smaller counts of a value are not shown
  days      integer not null,                 -- how long counters are kept
  zone      text not null                     -- IANA name, of the days
);

-- One day's: which visitors were counted already. Without the salt, which goes with
-- the day, the hashes lead nowhere. Never in a backup.
create table visitor_salt (
  day  integer primary key,                   -- UTC, Unix milliseconds
  salt blob not null
);
create table visitor_seen (
  day  integer not null,
  hash blob not null,
  primary key (day, hash)
) without rowid;
