-- The names that a log had before a restored backup went on under a new one: a
-- log that may have lost entries never signs under its old name again.
create table predecessor (
  site_id         bigint not null references site(id) on delete cascade,
  number          bigint not null,          -- 1, 2 … in the order of the restorations
  origin          text not null,            -- the name that is used no more
  size            bigint not null,          -- leaves that the new name took over
  checkpoint      bytea not null,           -- of that size, signed under the old name
  last_checkpoint bytea,                    -- the newest one known of the old name; null: none is known
  restored_at     bigint not null,
  primary key (site_id, number)
);
