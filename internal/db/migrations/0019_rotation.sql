-- A log goes on under a new name also when the installation's signing key was
-- replaced. A name's last checkpoint is verified with the key of its time.
alter table predecessor add column rotation text not null default '';  -- signed note of both keys; empty: the name was changed by a restoration
alter table predecessor add column cosigned text not null default '';  -- newest cosigned checkpoint of the old name; empty: none
alter table predecessor add column witnesses text not null default ''; -- who cosigned it, a verifier key a line
