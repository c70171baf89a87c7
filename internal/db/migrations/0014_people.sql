-- compatible with 12
-- A person who is asked into an organisation; the link is for that person only
-- and gives nobody an account of theirs.
create table invitation (
  id              text primary key,
  token_hash      text not null unique,    -- SHA-256 of the link's secret, hex
  organisation_id text not null references organisation(id) on delete cascade,
  email           text not null,
  name            text not null,
  role            text not null,
  until           bigint not null,         -- of the membership; 0: without end
  invited_by      text not null,           -- member, or empty
  created_at      bigint not null,
  expires_at      bigint not null,
  unique (organisation_id, email)
);

-- When the member last proved to be there, by password or code.
alter table session add column proved_at bigint not null default 0;

-- TOTP (RFC 6238). Unconfirmed until a code of it was entered.
create table totp (
  member_id    text primary key references member(id) on delete cascade,
  secret       text not null,              -- base32
  confirmed_at bigint not null,            -- 0: not yet
  last_step    bigint not null             -- newest time step that was used
);
create table recovery_code (
  member_id text not null references member(id) on delete cascade,
  hash      text not null,                 -- SHA-256, hex
  primary key (member_id, hash)
);
-- The password was right, the code is still to come.
create table sign_in_step (
  token_hash text primary key,             -- SHA-256 of the cookie's value, hex
  member_id  text not null references member(id) on delete cascade,
  expires_at bigint not null
);
