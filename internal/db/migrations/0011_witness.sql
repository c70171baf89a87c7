-- Logs of others that this installation is the witness of: what it saw last.
create table witnessed (
  origin     text not null primary key,
  vkey       text not null,               -- note verifier key of the log
  size       bigint not null,             -- last cosigned; 0: never
  root       text not null,               -- base64, of that size; empty: never
  checkpoint text not null                -- signed and cosigned note; empty: never
);

-- Witnesses that are asked to cosign the logs of this installation.
create table witness (
  vkey     text not null primary key,     -- verifier key of the cosigner
  url      text not null,                 -- its submission prefix
  added_at bigint not null
);

-- The newest checkpoint of a log that witnesses cosigned.
create table cosigned (
  site_id    bigint not null primary key references site(id) on delete cascade,
  size       bigint not null,
  checkpoint text not null,               -- signed note with the cosignatures
  witnesses  text not null,               -- verifier keys in the order of the cosignatures, a line each
  at         bigint not null              -- when it was stored
);
