-- A consent ID is random, so an index on record would touch another page with
-- every record. Here the register enters 1,024 records at once, in order, when
-- a log has that many more; it looks through the few after them one by one.
create table consent_place (
  site_id bigint not null,
  stretch bigint not null,                  -- idx >> 16: entering stays in one small part, a search looks into each
  prefix  blob not null,                    -- first 4 bytes of the consent ID; the record has the rest
  idx     bigint not null,
  primary key (site_id, stretch, prefix, idx)
) without rowid;

insert into consent_place (site_id, stretch, prefix, idx)
select site_id, idx >> 16, substr(consent_id, 1, 4), idx from record
where idx < (select size >> 10 << 10 from log where log.site_id = record.site_id)
order by 1, 2, 3, 4;

drop index record_by_consent;
