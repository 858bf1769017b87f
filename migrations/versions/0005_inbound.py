"""What comes in from Twilio, WhatsApp and SendGrid: its text until it is processed, accounts, people without a number."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

CHANGES = """
ALTER TABLE routes DROP CONSTRAINT routes_kind_check
ALTER TABLE routes ADD CONSTRAINT routes_kind_check CHECK (kind IN ('shopmonkey_location', 'phone_number', 'twilio_service', 'whatsapp_number', 'sendgrid', 'slug', 'mail_host'))
ALTER TABLE webhook_events ADD COLUMN payload jsonb
ALTER TABLE webhook_events DROP CONSTRAINT webhook_events_source_check
ALTER TABLE webhook_events ADD CONSTRAINT webhook_events_source_check CHECK (source IN ('shopmonkey', 'shopmonkey_poll', 'shopmonkey_replay', 'twilio', 'whatsapp', 'sendgrid'))
ALTER TABLE tenant_messaging_configs ADD COLUMN whatsapp_phone_number_id text, ADD COLUMN whatsapp_access_token bytea, ADD COLUMN whatsapp_refused text
ALTER TABLE tenant_messaging_configs ADD COLUMN sendgrid_event_public_key text
ALTER TABLE tenant_messaging_configs ADD COLUMN strangers_become_leads boolean NOT NULL DEFAULT true
ALTER TABLE leads ADD COLUMN whatsapp_user_id text
CREATE INDEX leads_whatsapp_user ON leads (tenant_id, whatsapp_user_id) WHERE whatsapp_user_id IS NOT NULL
ALTER TABLE scheduled_messages ADD COLUMN confirms_opt_out boolean NOT NULL DEFAULT false
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in CHANGES.strip().splitlines():
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("0005 adds columns that hold data; restore the database from a backup instead")
