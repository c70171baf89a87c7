-- compatible with 12
-- Whose a site is, and who may do what with it. What is there belongs to one
-- organisation, whose owners all present members are; the oldest of them made
-- the installation and is its operator. Rows of a node that is not upgraded yet
-- get the same organisation by default.
create table organisation (
  id         text primary key,
  name       text not null,
  created_at bigint not null
);
insert into organisation (id, name, created_at)
  select 'first', 'My organisation', coalesce((select min(created_at) from member), (select min(created_at) from site), max(applied_at)) from schema_migration;

create table membership (
  organisation_id text not null references organisation(id) on delete cascade,
  member_id       text not null references member(id) on delete cascade,
  role            text not null,             -- account.Role
  created_at      bigint not null,
  expires_at      bigint not null default 0, -- 0: without end
  reason          text not null default '',  -- why an operator looks in
  primary key (organisation_id, member_id)
);
create index membership_by_member on membership (member_id);
insert into membership (organisation_id, member_id, role, created_at) select 'first', id, 'owner', created_at from member;

alter table member add column operator boolean not null default false;
update member set operator = true where id = (select id from member order by created_at, id limit 1);

alter table site add column organisation_id text not null default 'first';
create index site_by_organisation on site (organisation_id);

-- '' is a member's own: signing in belongs to no organisation.
alter table activity add column organisation_id text not null default 'first';
create index activity_by_organisation on activity (organisation_id, id);
