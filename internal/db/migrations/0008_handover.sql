-- Hand-overs of a choice that were redeemed (internal/handover): each is good for one
-- use, on whichever node. A random number and a time; no row is about anybody.
create table handover_used (
  id       text not null primary key,       -- of the token, 32 hex digits
  until    bigint not null                  -- when it has been out of date for long
);
create index handover_used_by_age on handover_used (until);
