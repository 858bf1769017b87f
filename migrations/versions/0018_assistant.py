"""The assistant: what each franchise sets about it, every version of its instructions, and the tools that were called."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0018"
down_revision = "0017"

CONFIGS = """
CREATE TABLE tenant_assistant_configs (
  tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
  enabled boolean NOT NULL DEFAULT true,
  model text CHECK (model <> ''),
  base_url text CHECK (base_url <> ''),
  api_key bytea,
  debounce_ms integer NOT NULL DEFAULT 1000 CHECK (debounce_ms BETWEEN 0 AND 30000),
  lead_tokens_a_day integer NOT NULL DEFAULT 60000 CHECK (lead_tokens_a_day >= 0),
  prompt_version integer NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now()
)"""

# Version 0 is the built-in prompt alone; old versions stay as they are.
PROMPTS = """
CREATE TABLE assistant_prompts (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  version integer NOT NULL CHECK (version >= 1),
  instructions text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, version)
)"""

CALLS = """
CREATE TABLE chat_tool_calls (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  session_id uuid NOT NULL,
  turn bigint NOT NULL,
  name text NOT NULL,
  arguments jsonb NOT NULL,
  result jsonb NOT NULL,
  evidence jsonb NOT NULL,
  handles jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id, session_id) REFERENCES chat_sessions (tenant_id, location_id, id)
)"""

MORE = ("CREATE INDEX chat_tool_calls_newest ON chat_tool_calls (tenant_id, session_id, created_at DESC, id DESC)",)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in (CONFIGS, PROMPTS, CALLS, *MORE):
        op.execute(statement)
    for table in ("tenant_assistant_configs", "assistant_prompts", "chat_tool_calls"):
        for statement in protect(table):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("this cannot be undone: restore the database from a backup instead")
