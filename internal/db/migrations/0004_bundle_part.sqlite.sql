-- The parts of a version's script, for pages that hold the boot themselves.
create table bundle_part (
  version text not null references notice_version(version) on delete cascade,
  name    text not null,                    -- boot, core.de, ask.de, more.de
  etag    text not null,
  plain   blob not null,
  brotli  blob not null,
  gzip    blob not null,
  primary key (version, name)
);
