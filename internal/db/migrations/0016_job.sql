-- compatible with 12
-- Work that is promised in the transaction of the change that causes it, and done
-- afterwards by whichever node takes it first (internal/jobs).
create table job (
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
);
create index job_by_due on job (due_at);
create index job_by_lane on job (lane, due_at);
