-- compatible with 12
-- The language that a member chose for the console and for letters; '': as the browser asks.
alter table member add column chosen_language text not null default ''; -- BCP 47
