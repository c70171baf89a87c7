-- compatible with 12
-- Organisations and accounts that are to be erased for good, until all of it is
-- done (internal/closing). It names nobody.
create table closing (
  subject     text not null primary key,   -- ID of the organisation or the member
  kind        text not null,               -- organisation or account
  why         text not null,               -- asked, or inactive: nobody signed in for long
  asked_at    bigint not null,
  asked_by    text not null,               -- member; empty: command line, or the daily check
  due_at      bigint not null,             -- until then it can be taken back
  reminded_at bigint not null,             -- of an inactive account: when it was warned again; 0: not yet
  begun_at    bigint not null              -- when the erasing began; 0: it can be taken back
);
create index closing_by_due on closing (due_at);

-- What was erased for good. Restoring an older backup forgets it again.
create table forgotten (
  id      text not null primary key,       -- of the organisation or account, or the key of a site: random
  kind    text not null,                   -- organisation, account or site
  part_of text not null,                   -- the organisation with which it went, or empty
  number  bigint not null,                 -- of a site: no other gets it; else 0
  summary text not null,                   -- of a site: JSON of receipt.ClosedSite; else empty
  at      bigint not null
);
create index forgotten_by_part on forgotten (part_of);
create table forgotten_file (
  id      text not null,                   -- as above, of an organisation or account
  name    text not null,                   -- closing-ID.json, deletion-KEY-1.json …
  content text not null,                   -- the certificate
  primary key (id, name)
);

-- When a member signed in last, or was first looked at by the daily check.
alter table member add column seen_at bigint not null default 0;
