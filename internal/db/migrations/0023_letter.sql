-- compatible with 12
-- Letters to members: only to an address that its owner has confirmed, in the language
-- of the browser with which they last signed in.
alter table member add column verified_at bigint not null default 0; -- 0: not confirmed
alter table member add column language text not null default '';     -- BCP 47
alter table invitation add column mailed boolean not null default false; -- who opens it can read that address's mail

create table confirm_link (
  token_hash text not null primary key,    -- SHA-256 of the link's secret, hex
  member_id  text not null references member(id) on delete cascade,
  expires_at bigint not null
);
create index confirm_link_by_member on confirm_link (member_id);

-- Browsers from which a member has signed in: a cookie's hash, and nothing of the browser.
create table device (
  member_id  text not null references member(id) on delete cascade,
  hash       text not null,                -- SHA-256, hex
  seen_at    bigint not null,
  primary key (member_id, hash)
);
