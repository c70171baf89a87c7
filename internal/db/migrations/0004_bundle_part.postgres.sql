-- The parts of a version's script, for pages that hold the boot themselves.
create table bundle_part (
  version text not null references notice_version(version) on delete cascade,
  name    text not null,                    -- boot, core.de, ask.de, more.de
  etag    text not null,
  plain   bytea not null,
  brotli  bytea not null,
  gzip    bytea not null,
  primary key (version, name)
);
