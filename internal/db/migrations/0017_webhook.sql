-- compatible with 12
-- Endpoints that are told of what happens on a site (internal/webhook).
create table webhook (
  id          text not null primary key,    -- UUIDv7
  site_id     bigint not null references site(id) on delete cascade,
  url         text not null,
  events      text not null,                -- those that it is told of, separated by spaces
  secrets     text not null,                -- sealed JSON: the one in use, and the one before while receivers change
  next        bigint not null,              -- index in the site's log from which on nothing was told yet
  created_at  bigint not null,
  disabled_at bigint not null,              -- 0: it is told
  problem     text not null                 -- why it is not told
);
create index webhook_by_site on webhook (site_id);

-- What was told, or is to be: places in the log and names of versions. What the
-- message says is read when it is sent, so that nothing of a record is kept here.
create table webhook_delivery (
  id         text not null primary key,     -- webhook-id of the message, on each attempt the same
  webhook_id text not null references webhook(id) on delete cascade,
  event      text not null,
  idx        bigint not null,               -- of the record or the erasure in the site's log; -1: of neither
  version    text not null,                 -- of the notice; empty: of none
  created_at bigint not null,               -- when it happened
  state      text not null,                 -- waiting, delivered, failed, or dropped: there is nothing to tell any more
  attempts   bigint not null,
  status     bigint not null,               -- HTTP status of the last answer; 0: there was none
  took       bigint not null,               -- of the last attempt, milliseconds
  ended_at   bigint not null,               -- of the last attempt; 0: there was none
  problem    text not null
);
create index webhook_delivery_by_webhook on webhook_delivery (webhook_id, created_at, id);
create index webhook_delivery_by_age on webhook_delivery (created_at);

-- With which other programs use the API (internal/account/token.go).
create table api_token (
  id         text not null primary key,     -- UUIDv7
  token_hash text not null unique,          -- SHA-256 of the token, hex
  hint       text not null,                 -- how it begins, to recognise it by
  name       text not null,                 -- what it is for
  organisation_id text not null,            -- whose sites it is for; empty: of every organisation
  site       text not null,                 -- site key that it is for; empty: every site of the organisation
  scopes     text not null,                 -- separated by spaces
  created_by text not null,                 -- member; empty: command line
  created_at bigint not null,
  expires_at bigint not null,
  used_at    bigint not null,               -- to the hour; 0: never
  revoked_at bigint not null                -- 0: it was not
);

-- Answers to requests that are not to be carried out twice, by their Idempotency-Key.
create table api_answer (
  token_id   text not null references api_token(id) on delete cascade,
  idempotency_key text not null,
  request    text not null,                 -- SHA-256 of the request, hex
  status     bigint not null,               -- HTTP status; 0: it is being carried out
  body       text not null,                 -- names nobody
  created_at bigint not null,
  primary key (token_id, idempotency_key)
);
create index api_answer_by_age on api_answer (created_at);
