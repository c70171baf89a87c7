CREATE INDEX activity_by_organisation ON public.activity USING btree (organisation_id, id)
CREATE INDEX api_answer_by_age ON public.api_answer USING btree (created_at)
CREATE INDEX audit_entry_by_action ON public.audit_entry USING btree (organisation_id, action, idx)
CREATE INDEX audit_entry_by_actor ON public.audit_entry USING btree (organisation_id, actor, idx)
CREATE INDEX audit_entry_by_site ON public.audit_entry USING btree (organisation_id, site, idx)
CREATE INDEX audit_entry_by_time ON public.audit_entry USING btree (organisation_id, "time")
CREATE INDEX closing_by_due ON public.closing USING btree (due_at)
CREATE INDEX confirm_link_by_member ON public.confirm_link USING btree (member_id)
CREATE INDEX forgotten_by_part ON public.forgotten USING btree (part_of)
CREATE INDEX handover_used_by_age ON public.handover_used USING btree (until)
CREATE INDEX job_by_due ON public.job USING btree (due_at)
CREATE INDEX job_by_lane ON public.job USING btree (lane, due_at)
CREATE INDEX membership_by_member ON public.membership USING btree (member_id)
CREATE INDEX seen_by_age ON public.seen USING btree (last_at)
CREATE INDEX site_by_organisation ON public.site USING btree (organisation_id)
CREATE INDEX webhook_by_site ON public.webhook USING btree (site_id)
CREATE INDEX webhook_delivery_by_age ON public.webhook_delivery USING btree (created_at)
CREATE INDEX webhook_delivery_by_webhook ON public.webhook_delivery USING btree (webhook_id, created_at, id)
CREATE UNIQUE INDEX activity_pkey ON public.activity USING btree (id)
CREATE UNIQUE INDEX api_answer_pkey ON public.api_answer USING btree (token_id, idempotency_key)
CREATE UNIQUE INDEX api_token_pkey ON public.api_token USING btree (id)
CREATE UNIQUE INDEX api_token_token_hash_key ON public.api_token USING btree (token_hash)
CREATE UNIQUE INDEX audit_entry_pkey ON public.audit_entry USING btree (organisation_id, idx)
CREATE UNIQUE INDEX audit_log_pkey ON public.audit_log USING btree (organisation_id)
CREATE UNIQUE INDEX audit_tile_pkey ON public.audit_tile USING btree (organisation_id, level, n)
CREATE UNIQUE INDEX bundle_part_pkey ON public.bundle_part USING btree (version, name)
CREATE UNIQUE INDEX bundle_pkey ON public.bundle USING btree (version)
CREATE UNIQUE INDEX closing_pkey ON public.closing USING btree (subject)
CREATE UNIQUE INDEX confirm_link_pkey ON public.confirm_link USING btree (token_hash)
CREATE UNIQUE INDEX consent_place_pkey ON public.consent_place USING btree (site_id, stretch, prefix, idx)
CREATE UNIQUE INDEX cosigned_pkey ON public.cosigned USING btree (site_id)
CREATE UNIQUE INDEX counter_pkey ON public.counter USING btree (site_id, slot, hours, dimension)
CREATE UNIQUE INDEX counting_pkey ON public.counting USING btree (site_id)
CREATE UNIQUE INDEX device_pkey ON public.device USING btree (member_id, hash)
CREATE UNIQUE INDEX erased_by_mark ON public.erased USING btree (mark)
CREATE UNIQUE INDEX erased_pkey ON public.erased USING btree (place)
CREATE UNIQUE INDEX erasure_pkey ON public.erasure USING btree (site_id, idx)
CREATE UNIQUE INDEX forgotten_file_pkey ON public.forgotten_file USING btree (id, name)
CREATE UNIQUE INDEX forgotten_pkey ON public.forgotten USING btree (id)
CREATE UNIQUE INDEX handover_used_pkey ON public.handover_used USING btree (id)
CREATE UNIQUE INDEX installed_pkey ON public.installed USING btree (site_id, host, page)
CREATE UNIQUE INDEX invitation_organisation_id_email_key ON public.invitation USING btree (organisation_id, email)
CREATE UNIQUE INDEX invitation_pkey ON public.invitation USING btree (id)
CREATE UNIQUE INDEX invitation_token_hash_key ON public.invitation USING btree (token_hash)
CREATE UNIQUE INDEX job_pkey ON public.job USING btree (id)
CREATE UNIQUE INDEX log_origin_key ON public.log USING btree (origin)
CREATE UNIQUE INDEX log_pkey ON public.log USING btree (site_id)
CREATE UNIQUE INDEX member_email_key ON public.member USING btree (email)
CREATE UNIQUE INDEX member_pkey ON public.member USING btree (id)
CREATE UNIQUE INDEX membership_pkey ON public.membership USING btree (organisation_id, member_id)
CREATE UNIQUE INDEX notice_version_pkey ON public.notice_version USING btree (version)
CREATE UNIQUE INDEX notice_version_site_id_number_key ON public.notice_version USING btree (site_id, number)
CREATE UNIQUE INDEX organisation_pkey ON public.organisation USING btree (id)
CREATE UNIQUE INDEX predecessor_pkey ON public.predecessor USING btree (site_id, number)
CREATE UNIQUE INDEX record_by_id ON public.record USING btree (record_id)
CREATE UNIQUE INDEX record_pkey ON public.record USING btree (place)
CREATE UNIQUE INDEX recovery_code_pkey ON public.recovery_code USING btree (member_id, hash)
CREATE UNIQUE INDEX retention_rule_pkey ON public.retention_rule USING btree (site_id, regime)
CREATE UNIQUE INDEX schema_migration_pkey ON public.schema_migration USING btree (number)
CREATE UNIQUE INDEX seen_ignored_pkey ON public.seen_ignored USING btree (site_id, kind, name)
CREATE UNIQUE INDEX seen_pkey ON public.seen USING btree (site_id, kind, name, directive, allowed, page)
CREATE UNIQUE INDEX session_pkey ON public.session USING btree (token_hash)
CREATE UNIQUE INDEX setting_pkey ON public.setting USING btree (name)
CREATE UNIQUE INDEX setup_link_pkey ON public.setup_link USING btree (token_hash)
CREATE UNIQUE INDEX sign_in_step_pkey ON public.sign_in_step USING btree (token_hash)
CREATE UNIQUE INDEX site_domain_pkey ON public.site_domain USING btree (site_id, domain)
CREATE UNIQUE INDEX site_pkey ON public.site USING btree (id)
CREATE UNIQUE INDEX site_schedule_pkey ON public.site_schedule USING btree (site_id)
CREATE UNIQUE INDEX site_setup_pkey ON public.site_setup USING btree (site_id)
CREATE UNIQUE INDEX site_site_key ON public.site USING btree (site)
CREATE UNIQUE INDEX site_stale_pkey ON public.site_stale USING btree (site_id, language, field)
CREATE UNIQUE INDEX span_pkey ON public.span USING btree (site_id, run)
CREATE UNIQUE INDEX tail_pkey ON public.tail USING btree (site_id, idx)
CREATE UNIQUE INDEX tile_pkey ON public.tile USING btree (site_id, level, n)
CREATE UNIQUE INDEX totp_pkey ON public.totp USING btree (member_id)
CREATE UNIQUE INDEX visitor_salt_pkey ON public.visitor_salt USING btree (day)
CREATE UNIQUE INDEX visitor_seen_pkey ON public.visitor_seen USING btree (day, hash)
CREATE UNIQUE INDEX webhook_delivery_pkey ON public.webhook_delivery USING btree (id)
CREATE UNIQUE INDEX webhook_pkey ON public.webhook USING btree (id)
CREATE UNIQUE INDEX witness_pkey ON public.witness USING btree (vkey)
CREATE UNIQUE INDEX witnessed_pkey ON public.witnessed USING btree (origin)
activity.action text not null
activity.detail text not null
activity.id text not null
activity.member_id text not null
activity.organisation_id text not null
activity.site text not null
activity.time bigint not null
api_answer.body text not null
api_answer.created_at bigint not null
api_answer.idempotency_key text not null
api_answer.request text not null
api_answer.status bigint not null
api_answer.token_id text not null
api_token.created_at bigint not null
api_token.created_by text not null
api_token.expires_at bigint not null
api_token.hint text not null
api_token.id text not null
api_token.name text not null
api_token.organisation_id text not null
api_token.revoked_at bigint not null
api_token.scopes text not null
api_token.site text not null
api_token.token_hash text not null
api_token.used_at bigint not null
audit_entry.action text not null
audit_entry.actor text not null
audit_entry.commitment text not null
audit_entry.entry text not null
audit_entry.erased_by bigint not null
audit_entry.idx bigint not null
audit_entry.organisation_id text not null
audit_entry.salt text not null
audit_entry.site text not null
audit_entry.time bigint not null
audit_log.checkpoint text not null
audit_log.days bigint not null
audit_log.organisation_id text not null
audit_log.origin text not null
audit_log.size bigint not null
audit_tile.data text not null
audit_tile.level bigint not null
audit_tile.n bigint not null
audit_tile.organisation_id text not null
bundle.brotli bytea not null
bundle.build text not null
bundle.etag text not null
bundle.gzip bytea not null
bundle.plain bytea not null
bundle.version text not null
bundle_part.brotli bytea not null
bundle_part.etag text not null
bundle_part.gzip bytea not null
bundle_part.name text not null
bundle_part.plain bytea not null
bundle_part.version text not null
closing.asked_at bigint not null
closing.asked_by text not null
closing.begun_at bigint not null
closing.due_at bigint not null
closing.kind text not null
closing.reminded_at bigint not null
closing.subject text not null
closing.why text not null
confirm_link.expires_at bigint not null
confirm_link.member_id text not null
confirm_link.token_hash text not null
consent_place.idx bigint not null
consent_place.prefix bytea not null
consent_place.site_id bigint not null
consent_place.stretch bigint not null
cosigned.at bigint not null
cosigned.checkpoint text not null
cosigned.site_id bigint not null
cosigned.size bigint not null
cosigned.witnesses text not null
counter.data bytea not null
counter.dimension text not null
counter.hours bigint not null
counter.site_id bigint not null
counter.slot bigint not null
counting.counted bigint not null
counting.days bigint not null
counting.site_id bigint not null
counting.threshold bigint not null
counting.zone text not null
device.hash text not null
device.member_id text not null
device.seen_at bigint not null
erased.act bigint not null
erased.mark bytea not null
erased.place bigint not null
erasure.count bigint not null
erasure.idx bigint not null
erasure.reason text not null
erasure.salt bytea not null
erasure.site_id bigint not null
erasure.statement text not null
erasure.time bigint not null
forgotten.at bigint not null
forgotten.id text not null
forgotten.kind text not null
forgotten.number bigint not null
forgotten.part_of text not null
forgotten.summary text not null
forgotten_file.content text not null
forgotten_file.id text not null
forgotten_file.name text not null
handover_used.id text not null
handover_used.until bigint not null
installed.current_at bigint not null
installed.form text not null
installed.host text not null
installed.old_at bigint not null
installed.old_version text not null
installed.page text not null
installed.site_id bigint not null
invitation.created_at bigint not null
invitation.email text not null
invitation.expires_at bigint not null
invitation.id text not null
invitation.invited_by text not null
invitation.mailed boolean not null
invitation.name text not null
invitation.organisation_id text not null
invitation.role text not null
invitation.token_hash text not null
invitation.until bigint not null
job.attempts bigint not null
job.created_at bigint not null
job.dead_at bigint not null
job.due_at bigint not null
job.id text not null
job.kind text not null
job.lane text not null
job.payload text not null
job.problem text not null
job.taken boolean not null
log.checkpoint bytea not null
log.origin text not null
log.site_id bigint not null
log.size bigint not null
member.changed_at bigint not null
member.chosen_language text not null
member.created_at bigint not null
member.email text not null
member.id text not null
member.language text not null
member.name text not null
member.operator boolean not null
member.password text not null
member.seen_at bigint not null
member.verified_at bigint not null
membership.created_at bigint not null
membership.expires_at bigint not null
membership.member_id text not null
membership.organisation_id text not null
membership.reason text not null
membership.role text not null
notice_version.content text not null
notice_version.number bigint not null
notice_version.published_at bigint not null
notice_version.published_by text not null
notice_version.site_id bigint not null
notice_version.version text not null
organisation.created_at bigint not null
organisation.id text not null
organisation.name text not null
predecessor.checkpoint bytea not null
predecessor.cosigned text not null
predecessor.last_checkpoint bytea
predecessor.number bigint not null
predecessor.origin text not null
predecessor.restored_at bigint not null
predecessor.rotation text not null
predecessor.site_id bigint not null
predecessor.size bigint not null
predecessor.witnesses text not null
record.consent_id bytea not null
record.payload text not null
record.place bigint not null
record.record_id bytea not null
record.salt bytea not null
record.time bigint not null
recovery_code.hash text not null
recovery_code.member_id text not null
retention_rule.months bigint not null
retention_rule.regime text not null
retention_rule.site_id bigint not null
schema_migration.applied_at bigint not null
schema_migration.compatible_with bigint not null
schema_migration.name text not null
schema_migration.number bigint not null
seen.allowed boolean not null
seen.count bigint not null
seen.directive text not null
seen.first_at bigint not null
seen.kind text not null
seen.last_at bigint not null
seen.name text not null
seen.page text not null
seen.site_id bigint not null
seen_ignored.kind text not null
seen_ignored.name text not null
seen_ignored.site_id bigint not null
session.created_at bigint not null
session.expires_at bigint not null
session.last_seen_at bigint not null
session.member_id text not null
session.proved_at bigint not null
session.token_hash bytea not null
setting.name text not null
setting.value text not null
setup_link.created_at bigint not null
setup_link.expires_at bigint not null
setup_link.member_id text
setup_link.token_hash bytea not null
sign_in_step.expires_at bigint not null
sign_in_step.member_id text not null
sign_in_step.token_hash text not null
site.changed_at bigint not null
site.created_at bigint not null
site.draft text not null
site.id bigint not null
site.name text not null
site.organisation_id text not null
site.site text not null
site.version text
site_domain.domain text not null
site_domain.position bigint not null
site_domain.site_id bigint not null
site_schedule.content text not null
site_schedule.id text not null
site_schedule.member_id text not null
site_schedule.problem text not null
site_schedule.publish_at bigint not null
site_schedule.scheduled_at bigint not null
site_schedule.scheduled_by text not null
site_schedule.site_id bigint not null
site_schedule.version text not null
site_setup.site_id bigint not null
site_setup.step bigint not null
site_stale.field text not null
site_stale.language text not null
site_stale.site_id bigint not null
site_stale.source text not null
span.earliest bigint not null
span.latest bigint not null
span.run bigint not null
span.site_id bigint not null
tail.data bytea not null
tail.idx bigint not null
tail.site_id bigint not null
tile.data bytea not null
tile.level bigint not null
tile.n bigint not null
tile.site_id bigint not null
totp.confirmed_at bigint not null
totp.last_step bigint not null
totp.member_id text not null
totp.secret text not null
visitor_salt.day bigint not null
visitor_salt.salt bytea not null
visitor_seen.day bigint not null
visitor_seen.hash bytea not null
webhook.created_at bigint not null
webhook.disabled_at bigint not null
webhook.events text not null
webhook.id text not null
webhook.next bigint not null
webhook.problem text not null
webhook.secrets text not null
webhook.site_id bigint not null
webhook.url text not null
webhook_delivery.attempts bigint not null
webhook_delivery.created_at bigint not null
webhook_delivery.ended_at bigint not null
webhook_delivery.event text not null
webhook_delivery.id text not null
webhook_delivery.idx bigint not null
webhook_delivery.problem text not null
webhook_delivery.state text not null
webhook_delivery.status bigint not null
webhook_delivery.took bigint not null
webhook_delivery.version text not null
webhook_delivery.webhook_id text not null
witness.added_at bigint not null
witness.url text not null
witness.vkey text not null
witnessed.checkpoint text not null
witnessed.origin text not null
witnessed.root text not null
witnessed.size bigint not null
witnessed.vkey text not null
