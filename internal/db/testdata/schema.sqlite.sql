CREATE TABLE activity (
  id        text primary key,               -- UUIDv7
  time      bigint not null,
  member_id text not null,                  -- empty: command line or nobody
  action    text not null,                  -- for example site.publish, member.sign_in
  site      text not null,                  -- site key, or empty
  detail    text not null                   -- JSON
, organisation_id text not null default 'first') without rowid
CREATE INDEX activity_by_organisation on activity (organisation_id, id)
CREATE TABLE api_answer (
  token_id   text not null references api_token(id) on delete cascade,
  idempotency_key text not null,
  request    text not null,                 -- SHA-256 of the request, hex
  status     bigint not null,               -- HTTP status; 0: it is being carried out
  body       text not null,                 -- names nobody
  created_at bigint not null,
  primary key (token_id, idempotency_key)
)
CREATE INDEX api_answer_by_age on api_answer (created_at)
CREATE TABLE api_token (
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
)
CREATE TABLE audit_entry (
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
)
CREATE INDEX audit_entry_by_action on audit_entry (organisation_id, action, idx)
CREATE INDEX audit_entry_by_actor on audit_entry (organisation_id, actor, idx)
CREATE INDEX audit_entry_by_site on audit_entry (organisation_id, site, idx)
CREATE INDEX audit_entry_by_time on audit_entry (organisation_id, time)
CREATE TABLE audit_log (
  organisation_id text not null primary key, -- empty: what belongs to no organisation
  origin     text not null,                  -- name of the log
  size       bigint not null,                -- entries in the tree
  checkpoint text not null,                  -- signed (C2SP tlog-checkpoint); empty: nothing yet
  days       bigint not null                 -- how long entries are kept
)
CREATE TABLE audit_tile (
  organisation_id text not null,
  level      bigint not null,                -- -1 entry bundles, 0 and up hash tiles
  n          bigint not null,
  data       text not null,                  -- base64
  primary key (organisation_id, level, n)
)
CREATE TABLE bundle (
  version text not null references notice_version(version) on delete cascade,
  build   text not null,                    -- hash of the client's sources and compiler options
  etag    text not null,
  plain   blob not null,
  brotli  blob not null,
  gzip    blob not null,
  primary key (version)
)
CREATE TABLE bundle_part (
  version text not null references notice_version(version) on delete cascade,
  name    text not null,                    -- boot, core.de, ask.de, more.de
  etag    text not null,
  plain   blob not null,
  brotli  blob not null,
  gzip    blob not null,
  primary key (version, name)
)
CREATE TABLE closing (
  subject     text not null primary key,   -- ID of the organisation or the member
  kind        text not null,               -- organisation or account
  why         text not null,               -- asked, or inactive: nobody signed in for long
  asked_at    bigint not null,
  asked_by    text not null,               -- member; empty: command line, or the daily check
  due_at      bigint not null,             -- until then it can be taken back
  reminded_at bigint not null,             -- of an inactive account: when it was warned again; 0: not yet
  begun_at    bigint not null              -- when the erasing began; 0: it can be taken back
)
CREATE INDEX closing_by_due on closing (due_at)
CREATE TABLE confirm_link (
  token_hash text not null primary key,    -- SHA-256 of the link's secret, hex
  member_id  text not null references member(id) on delete cascade,
  expires_at bigint not null
)
CREATE INDEX confirm_link_by_member on confirm_link (member_id)
CREATE TABLE consent_place (
  site_id bigint not null,
  stretch bigint not null,                  -- idx >> 16: entering stays in one small part, a search looks into each
  prefix  blob not null,                    -- first 4 bytes of the consent ID; the record has the rest
  idx     bigint not null,
  primary key (site_id, stretch, prefix, idx)
) without rowid
CREATE TABLE cosigned (
  site_id    bigint not null primary key references site(id) on delete cascade,
  size       bigint not null,
  checkpoint text not null,               -- signed note with the cosignatures
  witnesses  text not null,               -- verifier keys in the order of the cosignatures, a line each
  at         bigint not null              -- when it was stored
)
CREATE TABLE counter (
  site_id   integer not null references site(id) on delete cascade,
  slot      integer not null,                 -- when the hour or the day began, Unix milliseconds
  hours     integer not null,                 -- 1: an hour; 24: a day of the site's time zone
  dimension text not null,                    -- '' for all together, or country, language, …
  data      blob not null,                    -- values with their counts (internal/stats/pack.go)
  primary key (site_id, slot, hours, dimension)
)
CREATE TABLE counting (
  site_id   integer primary key references site(id) on delete cascade,
  counted   integer not null,                 -- index of the first record that is not counted yet
  threshold integer not null,                 -- smaller counts of a value are not shown
  days      integer not null,                 -- how long counters are kept
  zone      text not null                     -- IANA name, of the days
)
CREATE TABLE device (
  member_id  text not null references member(id) on delete cascade,
  hash       text not null,                -- SHA-256, hex
  seen_at    bigint not null,
  primary key (member_id, hash)
)
CREATE TABLE erased (
  place integer primary key,                -- site_id << 40 | index that the record had
  mark  blob not null,                      -- keyed hash of the record ID, 16 bytes: register.Mark
  act   bigint not null                     -- index of the erasure leaf, in the same log
)
CREATE UNIQUE INDEX erased_by_mark on erased (mark)
CREATE TABLE erasure (
  site_id   bigint not null,
  idx       bigint not null,                -- index of the erasure leaf
  time      bigint not null,
  reason    text not null,                  -- request, retention …: register.Reasons
  count     bigint not null,                -- records that it erased
  salt      blob not null,                  -- 32 bytes; no secret, the statement names nobody
  statement text not null,                  -- canonical JSON (RFC 8785) of receipt.Statement
  primary key (site_id, idx)
) without rowid
CREATE TABLE forgotten (
  id      text not null primary key,       -- of the organisation or account, or the key of a site: random
  kind    text not null,                   -- organisation, account or site
  part_of text not null,                   -- the organisation with which it went, or empty
  number  bigint not null,                 -- of a site: no other gets it; else 0
  summary text not null,                   -- of a site: JSON of receipt.ClosedSite; else empty
  at      bigint not null
)
CREATE INDEX forgotten_by_part on forgotten (part_of)
CREATE TABLE forgotten_file (
  id      text not null,                   -- as above, of an organisation or account
  name    text not null,                   -- closing-ID.json, deletion-KEY-1.json …
  content text not null,                   -- the certificate
  primary key (id, name)
)
CREATE TABLE handover_used (
  id       text not null primary key,       -- of the token, 32 hex digits
  until    bigint not null                  -- when it has been out of date for long
)
CREATE INDEX handover_used_by_age on handover_used (until)
CREATE TABLE installed (
  site_id    bigint not null references site(id) on delete cascade,
  host       text not null,                  -- class of the host; '' where the browser does not say
  page       text not null,                  -- class of the path; '' for the host as a whole
  form       text not null,                  -- of the host: tag or boot, as it was last; of a page ''
  current_at bigint not null,                -- last seen with the scripts in force: the minute, of a page the day; 0 never
  old_at     bigint not null,                -- last seen with an older boot: the minute; 0 never
  old_version text not null,                 -- notice version of that boot
  primary key (site_id, host, page)
)
CREATE TABLE invitation (
  id              text primary key,
  token_hash      text not null unique,    -- SHA-256 of the link's secret, hex
  organisation_id text not null references organisation(id) on delete cascade,
  email           text not null,
  name            text not null,
  role            text not null,
  until           bigint not null,         -- of the membership; 0: without end
  invited_by      text not null,           -- member, or empty
  created_at      bigint not null,
  expires_at      bigint not null, mailed boolean not null default false,
  unique (organisation_id, email)
)
CREATE TABLE job (
  id         text not null primary key,     -- UUIDv7
  kind       text not null,                 -- who does it: mail or webhook
  lane       text not null,                 -- jobs of one lane hold up each other only
  payload    text not null,                 -- sealed where it holds personal data
  due_at     bigint not null,               -- when it may be taken: of a taken one the end of its lease, of one given up never (2^63-1)
  attempts   bigint not null,               -- how often it was taken
  taken      boolean not null,              -- a process has it, or had it and died
  created_at bigint not null,
  dead_at    bigint not null,               -- when it was given up; 0: it was not
  problem    text not null                  -- what went wrong last; names nobody
)
CREATE INDEX job_by_due on job (due_at)
CREATE INDEX job_by_lane on job (lane, due_at)
CREATE TABLE log (
  site_id    bigint primary key references site(id) on delete cascade,
  origin     text not null unique,
  size       bigint not null,               -- leaves in the tree
  checkpoint blob not null                  -- the newest signed checkpoint (C2SP tlog-checkpoint)
)
CREATE TABLE member (
  id         text primary key,
  email      text not null unique,          -- folded to lower case in Go
  name       text not null,
  password   text not null,                 -- argon2id, PHC string
  created_at bigint not null,
  changed_at bigint not null
, operator boolean not null default false, seen_at bigint not null default 0, verified_at bigint not null default 0, language text not null default '', chosen_language text not null default '') without rowid
CREATE TABLE membership (
  organisation_id text not null references organisation(id) on delete cascade,
  member_id       text not null references member(id) on delete cascade,
  role            text not null,             -- account.Role
  created_at      bigint not null,
  expires_at      bigint not null default 0, -- 0: without end
  reason          text not null default '',  -- why an operator looks in
  primary key (organisation_id, member_id)
)
CREATE INDEX membership_by_member on membership (member_id)
CREATE TABLE notice_version (
  version      text primary key,            -- SHA-256 of content, hex
  site_id      bigint not null references site(id) on delete cascade,
  number       bigint not null,             -- 1, 2, 3 … within the site
  content      text not null,               -- canonical JSON (RFC 8785), immutable
  published_at bigint not null,
  published_by text not null,
  unique (site_id, number)
) without rowid
CREATE TABLE organisation (
  id         text primary key,
  name       text not null,
  created_at bigint not null
)
CREATE TABLE predecessor (
  site_id         bigint not null references site(id) on delete cascade,
  number          bigint not null,          -- 1, 2 … in the order of the restorations
  origin          text not null,            -- the name that is used no more
  size            bigint not null,          -- leaves that the new name took over
  checkpoint      blob not null,            -- of that size, signed under the old name
  last_checkpoint blob,                     -- the newest one known of the old name; null: none is known
  restored_at     bigint not null, rotation text not null default '', cosigned text not null default '', witnesses text not null default '',
  primary key (site_id, number)
) without rowid
CREATE TABLE "record" (
  place      integer primary key,           -- site_id << 40 | leaf index in the site's log
  time       bigint not null,
  record_id  blob not null,                 -- 16 bytes
  consent_id blob not null,                 -- 16 bytes
  salt       blob not null,                 -- 32 bytes
  payload    text not null                  -- canonical JSON of the consent record
)
CREATE UNIQUE INDEX record_by_id on record (record_id)
CREATE TABLE recovery_code (
  member_id text not null references member(id) on delete cascade,
  hash      text not null,                 -- SHA-256, hex
  primary key (member_id, hash)
)
CREATE TABLE retention_rule (
  site_id bigint not null,                  -- 0: every site without a rule of its own
  regime  text not null,                    -- name of a regime pack; empty: every other
  months  bigint not null,                  -- after the decision was replaced or ran out
  primary key (site_id, regime)
) without rowid
CREATE TABLE schema_migration (number bigint primary key, name text not null, applied_at bigint not null, compatible_with bigint not null default 1000000)
CREATE TABLE seen (
  site_id   bigint not null references site(id) on delete cascade,
  kind      text not null,                  -- cookie, local_storage, session_storage, indexed_db, request; other: found no room
  name      text not null,                  -- class of a host or of a name
  directive text not null,                  -- of a request; else empty
  allowed   boolean not null,               -- let through; else blocked
  page      text not null,                  -- class of the path, or empty beyond the first pages
  first_at  bigint not null,                -- days only
  last_at   bigint not null,
  count     bigint not null,
  primary key (site_id, kind, name, directive, allowed, page)
)
CREATE INDEX seen_by_age on seen (last_at)
CREATE TABLE seen_ignored (
  site_id bigint not null references site(id) on delete cascade,
  kind    text not null,
  name    text not null,
  primary key (site_id, kind, name)
)
CREATE TABLE session (
  token_hash   blob primary key,            -- SHA-256 of the cookie's value
  member_id    text not null references member(id) on delete cascade,
  created_at   bigint not null,
  last_seen_at bigint not null,
  expires_at   bigint not null
, proved_at bigint not null default 0) without rowid
CREATE TABLE setting (
  name  text primary key,
  value text not null
) without rowid
CREATE TABLE setup_link (
  token_hash blob primary key,              -- SHA-256 of the link's secret
  created_at bigint not null,
  expires_at bigint not null
, member_id text references member(id) on delete cascade) without rowid
CREATE TABLE sign_in_step (
  token_hash text primary key,             -- SHA-256 of the cookie's value, hex
  member_id  text not null references member(id) on delete cascade,
  expires_at bigint not null
)
CREATE TABLE site (
  id         integer primary key,           -- short number used by log, record and tile
  site       text not null unique,          -- site key, public
  name       text not null,
  draft      text not null,                 -- JSON of the notice as it is being edited
  version    text,                          -- notice version in force; null before the first publication
  created_at bigint not null,
  changed_at bigint not null
, organisation_id text not null default 'first')
CREATE INDEX site_by_organisation on site (organisation_id)
CREATE TABLE site_domain (
  site_id  bigint not null references site(id) on delete cascade,
  position bigint not null,
  domain   text not null,
  primary key (site_id, domain)
) without rowid
CREATE TABLE site_schedule (
  site_id      bigint primary key references site(id) on delete cascade,
  id           text not null,                -- UUIDv7, so that a job of one that was replaced does nothing
  content      text not null,                -- canonical JSON of the notice
  version      text not null,                -- its SHA-256
  publish_at   bigint not null,
  scheduled_at bigint not null,
  scheduled_by text not null,                -- who, as versions name them
  member_id    text not null,                -- of the activity log; '' for the command line
  problem      text not null                 -- why it could not be published, a sentence; '' while it waits
)
CREATE TABLE site_setup (
  site_id bigint primary key references site(id) on delete cascade,
  step    bigint not null                    -- the next of the five, 2 to 5
)
CREATE TABLE site_stale (
  site_id  bigint not null references site(id) on delete cascade,
  language text not null,
  field    text not null,                    -- path in the language's texts, or services.KEY.purpose and its like
  source   text not null,                    -- the source text that it is a translation of
  primary key (site_id, language, field)
)
CREATE TABLE span (
  site_id  bigint not null,
  run      bigint not null,                 -- leaf index >> 10
  earliest bigint not null,                 -- Unix milliseconds
  latest   bigint not null,
  primary key (site_id, run)
) without rowid
CREATE TABLE tail (
  site_id bigint not null,
  idx     bigint not null,                  -- leaf index of the first commitment
  data    blob not null,                    -- commitments that no full entry bundle holds yet, 32 bytes each
  primary key (site_id, idx)
) without rowid
CREATE TABLE tile (
  site_id bigint not null,
  level   bigint not null,                  -- -1 entry bundles, 0 and up hash tiles
  n       bigint not null,
  data    blob not null,                    -- the widest version so far
  primary key (site_id, level, n)
) without rowid
CREATE TABLE totp (
  member_id    text primary key references member(id) on delete cascade,
  secret       text not null,              -- base32
  confirmed_at bigint not null,            -- 0: not yet
  last_step    bigint not null             -- newest time step that was used
)
CREATE TABLE visitor_salt (
  day  integer primary key,                   -- UTC, Unix milliseconds
  salt blob not null
)
CREATE TABLE visitor_seen (
  day  integer not null,
  hash blob not null,
  primary key (day, hash)
) without rowid
CREATE TABLE webhook (
  id          text not null primary key,    -- UUIDv7
  site_id     bigint not null references site(id) on delete cascade,
  url         text not null,
  events      text not null,                -- those that it is told of, separated by spaces
  secrets     text not null,                -- sealed JSON: the one in use, and the one before while receivers change
  next        bigint not null,              -- index in the site's log from which on nothing was told yet
  created_at  bigint not null,
  disabled_at bigint not null,              -- 0: it is told
  problem     text not null                 -- why it is not told
)
CREATE INDEX webhook_by_site on webhook (site_id)
CREATE TABLE webhook_delivery (
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
)
CREATE INDEX webhook_delivery_by_age on webhook_delivery (created_at)
CREATE INDEX webhook_delivery_by_webhook on webhook_delivery (webhook_id, created_at, id)
CREATE TABLE witness (
  vkey     text not null primary key,     -- verifier key of the cosigner
  url      text not null,                 -- its submission prefix
  added_at bigint not null
)
CREATE TABLE witnessed (
  origin     text not null primary key,
  vkey       text not null,               -- note verifier key of the log
  size       bigint not null,             -- last cosigned; 0: never
  root       text not null,               -- base64, of that size; empty: never
  checkpoint text not null                -- signed and cosigned note; empty: never
)
