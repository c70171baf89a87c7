-- The erasure ledger: one row for each act of erasing, which is a batch of
-- records of one site and a leaf in that site's log. The leaf commits to the
-- statement, so that the log itself says what was erased.
create table erasure (
  site_id   bigint not null,
  idx       bigint not null,                -- index of the erasure leaf
  time      bigint not null,
  reason    text not null,                  -- request, retention …: register.Reasons
  count     bigint not null,                -- records that it erased
  salt      bytea not null,                  -- 32 bytes; no secret, the statement names nobody
  statement text not null,                  -- canonical JSON (RFC 8785) of receipt.Statement
  primary key (site_id, idx)
);

-- One row for each erased record: what is left to answer for it.
create table erased (
  place bigint primary key,                -- site_id << 40 | index that the record had
  mark  bytea not null,                      -- keyed hash of the record ID, 16 bytes: register.Mark
  act   bigint not null                     -- index of the erasure leaf, in the same log
);
create unique index erased_by_mark on erased (mark);

-- How long records are kept. The most particular rule counts.
create table retention_rule (
  site_id bigint not null,                  -- 0: every site without a rule of its own
  regime  text not null,                    -- name of a regime pack; empty: every other
  months  bigint not null,                  -- after the decision was replaced or ran out
  primary key (site_id, regime)
);
