-- compatible with 12
-- The audit log of each organisation (internal/audit): a tree of commitments to
-- entries, as the register of a site is. It takes the place of activity, whose rows
-- are moved here when the server starts; a node that is not upgraded yet goes on
-- writing there.
create table audit_log (
  organisation_id text not null primary key, -- empty: what belongs to no organisation
  origin     text not null,                  -- name of the log
  size       bigint not null,                -- entries in the tree
  checkpoint text not null,                  -- signed (C2SP tlog-checkpoint); empty: nothing yet
  days       bigint not null                 -- how long entries are kept
);
create table audit_entry (
  organisation_id text not null,
  idx        bigint not null,                -- in the tree
  time       bigint not null,
  actor      text not null,                  -- kind, and behind a space the ID of a member or a token
  action     text not null,                  -- for example site.publish, member.sign_in
  site       text not null,                  -- site key, or empty
  commitment text not null,                  -- HMAC-SHA256(salt, entry), hex: the leaf
  salt       text not null,                  -- hex; empty: the entry was erased
  entry      text not null,                  -- canonical JSON (RFC 8785) of receipt.AuditEntry; empty: erased
  erased_by  bigint not null,                -- index of the entry that says so; -1: it was not
  primary key (organisation_id, idx)
);
create index audit_entry_by_time on audit_entry (organisation_id, time);
create index audit_entry_by_actor on audit_entry (organisation_id, actor, idx);
create index audit_entry_by_action on audit_entry (organisation_id, action, idx);
create index audit_entry_by_site on audit_entry (organisation_id, site, idx);
create table audit_tile (
  organisation_id text not null,
  level      bigint not null,                -- -1 entry bundles, 0 and up hash tiles
  n          bigint not null,
  data       text not null,                  -- base64
  primary key (organisation_id, level, n)
);
