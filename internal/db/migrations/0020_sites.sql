-- compatible with 12
-- Where a site's tag was seen: counters' cousins, a row for a host or a kind of
-- page, never for a visit.
create table installed (
  site_id    bigint not null references site(id) on delete cascade,
  host       text not null,                  -- class of the host; '' where the browser does not say
  page       text not null,                  -- class of the path; '' for the host as a whole
  form       text not null,                  -- of the host: tag or boot, as it was last; of a page ''
  current_at bigint not null,                -- last seen with the scripts in force: the minute, of a page the day; 0 never
  old_at     bigint not null,                -- last seen with an older boot: the minute; 0 never
  old_version text not null,                 -- notice version of that boot
  primary key (site_id, host, page)
);

-- A site that somebody is setting up: how far they came. Without a row it is done.
create table site_setup (
  site_id bigint primary key references site(id) on delete cascade,
  step    bigint not null                    -- the next of the five, 2 to 5
);

-- A draft that waits for its day. The job that puts it in force names this row.
create table site_schedule (
  site_id      bigint primary key references site(id) on delete cascade,
  id           text not null,                -- UUIDv7, so that a job of one that was replaced does nothing
  content      text not null,                -- canonical JSON of the notice
  version      text not null,                -- its SHA-256
  publish_at   bigint not null,
  scheduled_at bigint not null,
  scheduled_by text not null,                -- who, as versions name them
  member_id    text not null,                -- of the activity log; '' for the command line
  problem      text not null                 -- why it could not be published, a sentence; '' while it waits
);

-- Translations of a draft whose source text was changed after them.
create table site_stale (
  site_id  bigint not null references site(id) on delete cascade,
  language text not null,
  field    text not null,                    -- path in the language's texts, or services.KEY.purpose and its like
  source   text not null,                    -- the source text that it is a translation of
  primary key (site_id, language, field)
);
