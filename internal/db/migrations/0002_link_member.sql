-- A one-time link is for the first member (null) or lets a member choose a password.
alter table setup_link add column member_id text references member(id) on delete cascade;
