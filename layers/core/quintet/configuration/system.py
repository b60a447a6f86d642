"""The system's own document: kyros.md's /configuration, what it says by default and what each value may be."""

from typing import Any

from quintet.configuration.model import Leaf, Named, Schema, any_name, name, number, switch, told, whole
from quintet.settings import settings

_ENVIRONMENTS = {"prod": "production", "dev": "development", "local": "development"}


def _time_zone(value: Any) -> str | None:
    import zoneinfo  # only who sets one needs it: every function asks for this document

    try:
        zoneinfo.ZoneInfo(value)
    except (TypeError, ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return "Must be the name of a time zone, such as UTC or Europe/Berlin"
    return None


def schema(model: Named = any_name) -> Schema:
    """Money is in USD here, as the document has it. `model` judges the names of models."""
    given = settings()
    return {
        "system": {
            "version": told(given.version),
            "environment": told(_ENVIRONMENTS.get(given.stage, given.stage)),
            "timezone": Leaf("UTC", _time_zone),
            "maintenance_mode": switch(False),
        },
        "models": {
            "default_model": name("glm-4.5", model),
            "escalation_model": name("claude-4.1-opus", model),
            "fallback_model": name("glm-4.5", model),
            "timeout": whole(300, 1, 3600),
        },
        "escalation": {
            "auto_approve_threshold": number(0.8, 0, 1),
            "max_daily_escalations": whole(10, 0, 100_000),
            "cost_threshold": number(20.0, 0, 1_000_000),
            "approval_required": switch(True),
        },
        "monitoring": {
            "metrics_retention_days": whole(90, 1, 3650),
            "alert_enabled": switch(True),
            "performance_tracking": switch(True),
            "daily_budget": number(50.0, 0, 10_000_000),
        },
        "security": {
            "jwt_expiration_hours": number(24, 0.05, 720),
            "max_login_attempts": whole(given.max_login_attempts, 1, 1000),
            "session_timeout_minutes": whole(30, 1, 525_600),
        },
    }
