"""The only reader of the environment: what a function was told by template.yaml, typed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field is the environment variable of the same name in capitals; `make run NAME=value` sets any of them.

    Fields kept out of the repr are secrets. A deployed stack leaves them empty: `store.secrets` asks Secrets Manager.
    """

    # Where we are
    stage: str = "local"
    version: str = "1.0.0"
    table_prefix: str = "quintet-"
    aws_region: str = "us-east-1"
    aws_endpoint_url: str = ""
    aws_lambda_function_name: str = ""
    public_url: str = ""  # where callers reach us; redirect URIs and webhook links are built from it
    allowed_hosts: str = ""  # names beside loopback's that the local front answers to, with commas between
    sockets_url: str = ""  # `POST {sockets_url}/@connections/{id}` reaches an open WebSocket
    signing_secret_id: str = ""  # Secrets Manager: what the stack generated for itself
    vault_key_id: str = ""  # KMS: wraps the key of the open vault, see gateway/vault
    integrations_secret_id: str = ""  # Secrets Manager: what the owner filled in (OAuth clients, Slack, VAPI, vendors)

    # Who may call
    open_access: bool = False  # tron.md's paths and POST /auth/token without credentials: the local default only
    static_token: str = field(default="", repr=False)
    jwt_enabled: bool = True
    jwt_algorithm: str = "HS256"
    jwt_secret: str = field(default="", repr=False)  # the shared secret, or the PEM private key with RS256
    jwt_public_key: str = ""  # PEM, RS256 only
    jwt_issuer: str = "cyborg-api"
    jwt_audience: str = "cyborg-clients"
    jwt_expiry_minutes: int = 60
    jwt_longest_expiry_minutes: int = 10_080  # the most that POST /auth/token hands out
    session_days: int = 30  # a login lives as long, however often it is refreshed
    max_login_attempts: int = 5  # wrong passwords in a row, at least 1
    login_lock_minutes: int = 15

    # Who vouches for people: a provider with a client id is on. Its redirect URI is
    # <PUBLIC_URL>/v1/auth/oauth2/<provider>/callback
    oauth_google_client_id: str = ""
    oauth_google_client_secret: str = field(default="", repr=False)
    oauth_github_client_id: str = ""
    oauth_github_client_secret: str = field(default="", repr=False)
    oauth_github_url: str = "https://github.com"  # or an enterprise server, with its API below
    oauth_github_api_url: str = "https://api.github.com"
    oauth_microsoft_client_id: str = ""
    oauth_microsoft_client_secret: str = field(default="", repr=False)
    oauth_microsoft_tenant: str = "common"
    oauth_microsoft_allowed_tenants: str = ""  # ids with commas between them; empty = whomever the tenant admits
    oauth_custom_client_id: str = ""
    oauth_custom_client_secret: str = field(default="", repr=False)
    oauth_custom_issuer: str = ""  # any OpenID Connect issuer; https outside the local default
    oauth_new_user_role: str = "viewer"  # `service` may do nothing, until an admin says more

    # Which models' vendors there are: one with a key is on. A base URL of one's own needs no key
    openai_api_key: str = field(default="", repr=False)
    openai_base_url: str = ""
    anthropic_api_key: str = field(default="", repr=False)
    anthropic_base_url: str = ""
    models_may_be_private: bool = False  # a provider's base URL may lead to this machine or to a private network
    deepseek_api_key: str = field(default="", repr=False)
    gemini_api_key: str = field(default="", repr=False)
    groq_api_key: str = field(default="", repr=False)
    mistral_api_key: str = field(default="", repr=False)
    openrouter_api_key: str = field(default="", repr=False)
    xai_api_key: str = field(default="", repr=False)
    zhipu_api_key: str = field(default="", repr=False)

    # Under which names prompts may be sealed: `<name>=<ARN of a symmetric KMS key>,<ARN of an RSA one>`, with spaces
    # between several
    envelope_keys: str = ""

    # Personas: who may call in, and where they speak. An empty address or secret switches an integration off.
    inbox_queue_url: str = ""
    slack_signing_secret: str = field(default="", repr=False)
    slack_bot_token: str = field(default="", repr=False)
    slack_api_url: str = "https://slack.com/api/"
    slack_feed_channel: str = ""  # where personas post; empty = only in the feed
    vapi_secret: str = field(default="", repr=False)  # X-Vapi-Secret, or Authorization: Bearer
    vapi_hmac_secret: str = field(default="", repr=False)
    vapi_hmac_secret_is_base64: bool = False
    vapi_hmac_algorithm: str = "sha256"  # or sha512, sha1
    vapi_hmac_encoding: str = "hex"  # or base64
    vapi_hmac_header: str = "x-signature"
    vapi_hmac_timestamp_header: str = "x-timestamp"
    vapi_hmac_id_header: str = ""  # for {id} in the format
    vapi_hmac_format: str = "{timestamp}.{body}"
    vapi_hmac_prefix: str = ""  # before the signature, e.g. `sha256=`
    vapi_assistant_persona: str = "tony"  # who answers the phone
    vapi_api_key: str = field(default="", repr=False)  # what VAPI is told to show us when it calls its custom LLM
    elevenlabs_api_key: str = field(default="", repr=False)
    caddy_allowed_hosts: str = ""  # hosts with commas between them that TLS is terminated for
    feed_webhook_url: str = ""  # where posts are sent as {"persona", "text"}
    feed_sources: str = ""  # feeds with commas between them, instead of every persona's own
    feeds_may_be_local: bool = False  # a feed on this machine may be read: for development

    # How often; requests per window, 0 = no limit. Who calls through our own edge is counted by their own address: with
    # this key the edge shows that it is ours
    edge_key: str = field(default="", repr=False)
    rate_limit_auth: int = 5  # a minute
    rate_limit_policy: int = 100  # a minute
    rate_limit_ask: int = 1000  # a minute
    rate_limit_webhooks: int = 100  # a minute
    rate_limit_task_creation: int = 100  # an hour
    rate_limit_model_selection: int = 200  # an hour
    rate_limit_monitoring: int = 1000  # an hour
    rate_limit_default: int = 1000  # a minute, whatever else kyros.md documents
    rate_limit_personas: int = 0  # a minute
    rate_limit_broker: int = 0  # a minute

    # Telling others
    webhook_deliveries_a_minute: int = 50  # to one endpoint; 0 = no limit
    webhook_log_days: int = 30
    webhook_local_receivers: bool = False  # webhooks to loopback, in the local default alone
    deliveries_queue_url: str = ""
    curfews_queue_url: str = ""  # connections whose caller has not said yet who it is
    deliveries_queue_arn: str = ""
    deliveries_schedule_group: str = "default"
    deliveries_schedule_role: str = ""  # what a schedule puts messages into the queue as

    # Which policies are served
    policies: str = "/opt/policies"  # the folder of those that ship
    policies_url: str = ""  # s3://bucket/prefix: the owner's own, beside them
    policy_default: str = "cartpole"
    agent_idle_days: int = 30  # an agent that nobody steps for so long is gone

    # The task platform
    task_machine_arn: str = ""
    escalation_machine_arn: str = ""
    artifacts_bucket: str = ""

    # What we tell of ourselves
    log_level: str = "INFO"
    metrics: bool = False  # CloudWatch metrics (EMF); on in a deployed stack
    tracing: bool = False  # X-Ray; on in a deployed stack
    request_log_days: int = 90
    event_log_days: int = 30

    @property
    def on_lambda(self) -> bool:
        return bool(self.aws_lambda_function_name)

    def table(self, name: str) -> str:
        return self.table_prefix + name

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises ValueError that names the variable, never its value: it may be a secret in the wrong place."""
        given: dict[str, Any] = {}
        for each in fields(cls):
            name = each.name.upper()
            text = environ.get(name)
            if text is not None and text != "":
                given[each.name] = _parse(name, text, type(each.default))
        return cls(**given)

    @classmethod
    def names(cls) -> frozenset[str]:
        return frozenset(each.name.upper() for each in fields(cls))


def _parse(name: str, text: str, wanted: type) -> str | int | float | bool:
    try:
        if wanted is bool:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
        if wanted is int:
            return int(text)
        if wanted is float:
            return float(text)
    except (KeyError, ValueError):
        raise ValueError(f"setting {name} is not a valid {wanted.__name__}") from None
    return text


@cache
def settings() -> Settings:
    return Settings.read(os.environ)


def aws_keys() -> tuple[str, str, str] | None:
    """Key id, secret and session token, where the platform puts them into the environment.

    No field of the settings: what is one is handed on to functions and shown to people.
    """
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    return (key_id, secret, os.environ.get("AWS_SESSION_TOKEN", "")) if key_id and secret else None


@dataclass(frozen=True, slots=True)
class Platform:
    """What Lambda tells the process itself."""

    runtime_api: str  # host and port of the Runtime API
    handler: str  # `folder.module.name`
    snap_start: bool  # this process is about to become a snapshot
    function_name: str
    function_version: str
    memory_mb: str
    log_group: str
    log_stream: str


def memory_mb() -> str:
    """Empty off Lambda."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")


def platform() -> Platform:
    def given(name: str) -> str:
        return os.environ.get(name, "")

    return Platform(
        runtime_api=given("AWS_LAMBDA_RUNTIME_API"),
        handler=given("_HANDLER"),
        snap_start=given("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        function_name=given("AWS_LAMBDA_FUNCTION_NAME"),
        function_version=given("AWS_LAMBDA_FUNCTION_VERSION"),
        memory_mb=memory_mb(),
        log_group=given("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream=given("AWS_LAMBDA_LOG_STREAM_NAME"),
    )


def sampled() -> bool:
    """Whether X-Ray has picked the invocation that runs now: most it does not."""
    return "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", "")
