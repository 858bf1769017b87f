"""Settings: environment variables, read once at the edge into one frozen object and passed down."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lead_orchestrator.errors import ConfigurationError

__all__ = ["Settings", "load_settings"]

FEWEST_PASSES, LEAST_MEMORY = 2, 19_456
"""The least that OWASP's cheat sheet on the storage of passwords allows for argon2id."""
SANDBOX_HOSTS = ("127.0.0.1", "localhost", "[::1]", "sandbox")


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, populate_by_name=True)

    environment: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: str | None = Field(None, description="Postgres as lead_app. Unset: an embedded Postgres.")
    database_visitor_url: str | None = Field(None, description="Postgres as lead_visitor.")
    database_platform_url: str | None = Field(None, description="Postgres as lead_platform.")
    database_owner_url: str | None = Field(None, description="Postgres as lead_owner; migrate only.")
    database_admin_url: str | None = Field(None, description="Postgres as a superuser; migrate --bootstrap only.")
    redis_url: str | None = Field(None, description="Redis or Valkey. Unset: an embedded Valkey.")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    public_url: str = Field(
        "http://127.0.0.1:3000", description="The address customers and providers reach the api at."
    )

    secrets_key: SecretStr | None = Field(
        None, description="Fernet keys, newest first, comma-separated; they encrypt the tenants' secrets."
    )
    jwt_private_key: SecretStr | None = Field(None, description="Ed25519 private key, PEM; it signs the access tokens.")

    shopmonkey_base_url: str = "https://api.shopmonkey.cloud"
    twilio_base_url: str = "https://api.twilio.com"
    sendgrid_base_url: str = "https://api.sendgrid.com"
    whatsapp_base_url: str = "https://graph.facebook.com"
    whatsapp_app_secret: SecretStr | None = Field(
        None, description="The Meta app's secrets, newest first, comma-separated; they sign its webhooks."
    )
    whatsapp_verify_token: SecretStr | None = Field(None, description="What Meta must know to register the webhook.")
    google_base_url: str = Field(
        "https://www.googleapis.com", description="Google's own hosts for OAuth go with this one; any other serves all."
    )
    google_client_id: str | None = Field(
        None, description="Our OAuth client at Google. Unset: calendars cannot be connected, and booking does without."
    )
    google_client_secret: SecretStr | None = Field(None, description="The OAuth client's secret.")

    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        description="Where chat completions are asked for; anything that speaks the protocol.",
    )
    openai_api_key: SecretStr | None = Field(
        None, description="Of franchises without a key of their own. Unset: rules answer their customers."
    )
    openai_model: str = Field("gpt-4.1-mini", description="Of franchises that name no other.")
    platform_sendgrid_api_key: SecretStr | None = Field(
        None,
        description="The platform's own SendGrid account: invitations and new passwords. Unset: nobody is invited.",
    )
    platform_from_email: str | None = Field(None, description="The address those mails come from.")

    answer_lease_seconds: Annotated[float, Field(ge=1.5, le=300)] = Field(
        30, description="A conversation is its answerer's for so long; an answer takes five sixths of it at most."
    )

    calendar_poll_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300, description="Between two looks at a calendar of which nobody said that it changed."
    )
    calendar_fresh_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        120, description="A calendar that was read longer ago is asked itself before an appointment is confirmed."
    )

    poll_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    dispatch_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        10, description="SCHEDULER_INTERVAL_MS, in milliseconds, is its alias."
    )
    scheduler_interval_ms: Annotated[int, Field(gt=0, le=3_600_000)] | None = Field(
        None, validation_alias=AliasChoices("scheduler_interval_ms", "SCHEDULER_INTERVAL_MS")
    )

    send_lease_seconds: Annotated[float, Field(ge=1.5, le=600)] = Field(
        30, description="A message that is being sent is its sender's for so long; a call takes a third of it at most."
    )
    unknown_settle_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        60, description="How long after an attempt a provider that has no trace of it is believed."
    )
    unknown_events_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        3600, description="How long a provider that cannot be asked has to tell by its events; then staff decides."
    )
    sends_per_second: Annotated[float, Field(gt=0, le=10_000)] = Field(
        500, description="Messages of one franchise that all workers together hand over in a second."
    )
    database_pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    database_direct_connections: Annotated[int, Field(ge=1, le=100)] = Field(
        5,
        description="Statements of the query planner at once. Each is one message, so that a connection is busy for its own time "
        "only; more of them than the database has processors wait for each other, which doubles the 99th percentile.",
    )
    api_requests_per_minute: Annotated[int, Field(ge=1)] = Field(
        6_000, description="GraphQL requests of one franchise's staff."
    )
    api_cost_per_minute: Annotated[int, Field(ge=1)] = Field(
        1_000_000, description="Objects one franchise's staff may ask for."
    )
    sign_in_attempts_per_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(
        10, description="At one account; one address has six times as many."
    )
    password_hash_passes: Annotated[int, Field(ge=1, le=100)] = Field(3, description="argon2id's passes.")
    password_hash_memory_kib: Annotated[int, Field(ge=8, le=4_194_304)] = Field(
        65_536, description="argon2id's memory, in KiB. Production refuses less than 2 passes over 19456."
    )
    public_reads_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        240, description="Calls of one address to public pages and forms; a shop's public gets thirty times as many."
    )
    public_writes_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="Of those, the ones that make or send something."
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="The balancers whose X-Forwarded-For is believed: addresses, networks, or *."
    )
    worker_jobs: Annotated[int, Field(ge=1, le=200)] = Field(20, description="Jobs one worker runs at once.")

    @property
    def dispatch_interval(self) -> float:
        """Seconds between two passes of the dispatcher."""
        if self.scheduler_interval_ms is not None:
            return self.scheduler_interval_ms / 1000
        return self.dispatch_interval_seconds

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @model_validator(mode="after")
    def _production_is_complete(self) -> Self:
        if not self.production:
            return self
        required = (
            "database_url",
            "database_visitor_url",
            "database_platform_url",
            "redis_url",
            "secrets_key",
            "jwt_private_key",
        )
        missing = [name.upper() for name in required if getattr(self, name) is None]
        if missing:
            raise ValueError(f"production needs {', '.join(missing)}")
        if not self.public_url.startswith("https://"):
            raise ValueError(f"PUBLIC_URL is {self.public_url!r}: production needs an https:// address")
        if self.password_hash_passes < FEWEST_PASSES or self.password_hash_memory_kib < LEAST_MEMORY:
            raise ValueError(
                f"PASSWORD_HASH_PASSES is {self.password_hash_passes} and PASSWORD_HASH_MEMORY_KIB"
                f" {self.password_hash_memory_kib}: production needs {FEWEST_PASSES} and {LEAST_MEMORY} at least"
            )
        for name in (
            "shopmonkey_base_url",
            "twilio_base_url",
            "sendgrid_base_url",
            "whatsapp_base_url",
            "google_base_url",
            "openai_base_url",
        ):
            if not getattr(self, name).startswith("https://"):
                raise ValueError(
                    f"{name.upper()} is {getattr(self, name)!r}: production talks to the real service by https"
                )
        return self


def load_settings(**overrides: object) -> Settings:
    """Read the environment; `overrides` win over it.

    Raises:
        ConfigurationError: a value is missing or wrong; the message names each variable, its value and what is expected.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # values are validated by pydantic
    except ValidationError as error:
        lines = [_describe(item["loc"], item["msg"], item.get("input")) for item in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None


def _describe(loc: tuple[int | str, ...], message: str, value: object) -> str:
    name = str(loc[0]).upper() if loc else ""
    if not name or any(
        part in name for part in ("KEY", "URL", "SECRET", "TOKEN")
    ):  # never print a secret, and URLs carry passwords
        return f"{name}: {message}" if name else message
    return f"{name}={value!r}: {message}"
