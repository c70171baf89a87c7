-- The oldest binary, by the newest schema that it knows, that can still work with
-- a database to which this migration was applied: nodes are upgraded one by one.
alter table schema_migration add column compatible_with bigint not null default 1000000;
