"""Writes the catalogue that a fresh stack is filled with: `make catalogue`, whenever prices have moved.

Prices, windows and what is deprecated come from the MIT-licensed package genai-prices; which models are worth having,
what they can do and how good we think they are is said here. Nothing of it is needed at run time but the result.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).resolve().parents[1] / "layers/core/quintet/gateway/catalogue/seed.json"
_NANO_PER_MILLION = 1000  # a USD per million tokens is so many nano-USD a token

_CLAUDE = "global.anthropic.claude"

PLAIN = "streaming tools json"
SEES = f"{PLAIN} vision"
THINKS = f"{PLAIN} reasoning planning"
ALL = f"{SEES} reasoning planning"


class Wanted(NamedTuple):
    """`weight` is our class of quality, 0..10, and `latency_ms` what we expect of a short answer, until we measure.

    An `output` or `window` of 0 is not known to us, or is the source's to say.
    """

    vendor: str  # what the vendor calls it
    weight: float
    can: str
    latency_ms: int
    output: int = 0
    window: int = 0
    id: str = ""
    aliases: tuple[str, ...] = ()


PROVIDERS: Mapping[str, Mapping[str, Any]] = {
    "openai": {"kind": "openai", "name": "OpenAI", "base_url": "https://api.openai.com/v1"},
    "anthropic": {"kind": "anthropic", "name": "Anthropic", "base_url": "https://api.anthropic.com"},
    "google": {
        "kind": "openai",
        "name": "Google",
        "base_url": "https://generativelanguage.googleapis.com/v1beta/openai",
        "cred_name": "gemini_api_key",
    },
    "mistral": {"kind": "openai", "name": "Mistral", "base_url": "https://api.mistral.ai/v1"},
    "zhipu": {"kind": "openai", "name": "GLM", "base_url": "https://api.z.ai/api/paas/v4"},
    "deepseek": {"kind": "openai", "name": "DeepSeek", "base_url": "https://api.deepseek.com/v1"},
    "xai": {"kind": "openai", "name": "xAI", "base_url": "https://api.x.ai/v1"},
    "groq": {"kind": "openai", "name": "Groq", "base_url": "https://api.groq.com/openai/v1"},
    "openrouter": {"kind": "openai", "name": "OpenRouter", "base_url": "https://openrouter.ai/api/v1"},
    # The function's own role is the key, but an account has to ask for the models first: off until somebody has.
    "bedrock": {"kind": "bedrock", "name": "Amazon Bedrock", "cred_store": "none", "enabled": False},
}

# By provider: where the source has it, and what we want of it.
MODELS: Mapping[str, tuple[str, list[Wanted]]] = {
    "openai": (
        "openai",
        [
            Wanted("gpt-4o", 7, SEES, 1200, 16_384),
            Wanted("gpt-4o-mini", 5, SEES, 800, 16_384),
            Wanted("gpt-4.1", 7.5, f"{SEES} planning", 1300, 32_768),
            Wanted("gpt-4.1-mini", 6, SEES, 900, 32_768),
            Wanted("gpt-4.1-nano", 4, SEES, 600, 32_768),
            Wanted("o3", 8.5, ALL, 8000, 100_000),
            Wanted("o4-mini", 7.5, ALL, 5000, 100_000),
            Wanted("gpt-5", 8.5, ALL, 6000, 128_000),
            Wanted("gpt-5-mini", 7, ALL, 3000, 128_000),
            Wanted("gpt-5-nano", 5.5, ALL, 2000, 128_000),
            Wanted("gpt-5.1", 8.5, ALL, 6000, 128_000),
            Wanted("gpt-5.2", 9, ALL, 6000, 128_000),
            Wanted("gpt-5.4", 9, ALL, 6000),
            Wanted("gpt-5.4-mini", 7.5, ALL, 3000),
            Wanted("gpt-5.4-nano", 6, ALL, 2000),
            Wanted("gpt-5.5", 9, ALL, 6000),
            Wanted("gpt-6-luna", 7.5, ALL, 2500),
            Wanted("gpt-6-sol", 9.5, ALL, 6000),
            Wanted("gpt-6.1-sol", 9.5, ALL, 6000),
            Wanted("gpt-6.1-terra", 8.5, ALL, 4000),
        ],
    ),
    "anthropic": (
        "anthropic",
        [
            Wanted("claude-3-haiku", 4, SEES, 900, 4096, id="claude-3-haiku"),
            Wanted("claude-haiku-4-5", 7, ALL, 1200, 64_000),
            Wanted("claude-haiku-5-5", 7.5, ALL, 1200),
            Wanted("claude-sonnet-4-0", 8, ALL, 2500, 64_000),
            Wanted("claude-sonnet-4-5", 8.5, ALL, 2500, 64_000),
            Wanted("claude-sonnet-4-6", 8.5, ALL, 2500),
            Wanted("claude-sonnet-5", 9, ALL, 2500),
            Wanted("claude-sonnet-5-5", 9, ALL, 2500),
            Wanted(
                "claude-opus-4-1",
                9,
                f"{ALL} code_generation architecture security_review",
                3200,
                32_000,
                id="claude-4.1-opus",
                aliases=("claude-opus-4-1",),
            ),
            Wanted("claude-opus-4-5", 9.5, ALL, 3500, 64_000, aliases=("claude-opus",)),
            Wanted("claude-opus-4-6", 9.5, ALL, 3500),
            Wanted("claude-opus-5", 9.5, ALL, 3500),
            Wanted("claude-opus-5-5", 10, ALL, 3500),
        ],
    ),
    "google": (
        "google",
        [
            Wanted("gemini-2.0-flash", 5, SEES, 700, 8192, 1_048_576),
            Wanted("gemini-2.5-pro", 8.5, ALL, 5000, 65_536, 1_048_576),
            Wanted("gemini-2.5-flash", 7, ALL, 1500, 65_536, 1_048_576),
            Wanted("gemini-2.5-flash-lite", 5.5, ALL, 900, 65_536, 1_048_576),
            Wanted("gemini-3-flash-preview", 7.5, ALL, 1500),
            Wanted("gemini-3.1-pro-preview", 9, ALL, 5000),
            Wanted("gemini-3.5-flash", 8, ALL, 1500),
            Wanted("gemini-3.8-flash", 8, ALL, 1500),
            Wanted("gemini-4-argon", 9.5, ALL, 5000),
        ],
    ),
    "mistral": (
        "mistral",
        [
            Wanted("mistral-large-2512", 7.5, SEES, 1800),
            Wanted("mistral-large-4", 8.5, f"{SEES} planning", 1800),
            Wanted("mistral-medium-3-5", 7.5, SEES, 1500),
            Wanted("mistral-small-2603", 6, SEES, 900),
            Wanted("ministral-8b-2512", 4.5, SEES, 600),
            Wanted("codestral-2508", 6, f"{PLAIN} code_generation", 800),
        ],
    ),
    "zhipu": (
        "zai",
        [
            Wanted(
                "glm-4.5",
                8.5,
                f"{THINKS} code_generation documentation testing bug_fixes",
                2500,
                98_304,
                131_072,
            ),
            Wanted("glm-4.5-air", 6.5, THINKS, 1800, 98_304, 131_072),
            Wanted("glm-4.6", 8.5, THINKS, 2500, 0, 200_000),
            Wanted("glm-5", 8.5, THINKS, 2500),
            Wanted("glm-5.3", 9, THINKS, 2500),
            Wanted("glm-5.3-flash", 7.5, THINKS, 1500),
        ],
    ),
    "deepseek": (
        "deepseek",
        [
            Wanted("deepseek-chat", 7.5, PLAIN, 2000, 8192),
            Wanted("deepseek-v4-flash", 7.5, THINKS, 2000),
            Wanted("deepseek-v4-pro", 8.5, THINKS, 4000),
        ],
    ),
    "xai": (
        "x-ai",
        [
            Wanted("grok-3-mini", 6.5, THINKS, 2000),
            Wanted("grok-4-0709", 8.5, ALL, 6000, aliases=("grok-4",)),
            Wanted("grok-4.7", 9, ALL, 4000),
            Wanted("grok-code-fast-1", 7, f"{THINKS} code_generation", 1500),
        ],
    ),
    "groq": (
        "groq",
        [
            Wanted("llama-3.1-8b-instant", 4, PLAIN, 300, id="groq/llama-3.1-8b-instant"),
            Wanted("llama-3.3-70b-versatile", 6, PLAIN, 400, id="groq/llama-3.3-70b-versatile"),
            Wanted("openai/gpt-oss-20b", 6, THINKS, 500, id="groq/gpt-oss-20b"),
            Wanted("openai/gpt-oss-120b", 7, THINKS, 700, id="groq/gpt-oss-120b"),
        ],
    ),
    "bedrock": (
        "aws",
        [
            Wanted("amazon.nova-micro-v1:0", 4, "streaming tools", 600, 10_000, id="bedrock/nova-micro"),
            Wanted("amazon.nova-lite-v1:0", 5, "streaming tools vision", 800, 10_000, id="bedrock/nova-lite"),
            Wanted("amazon.nova-pro-v1:0", 6.5, "streaming tools vision", 1200, 10_000, id="bedrock/nova-pro"),
            Wanted(
                "global.anthropic.claude-haiku-4-5-20251001-v1:0", 7, ALL, 1200, 64_000, id="bedrock/claude-haiku-4-5"
            ),
            Wanted(
                "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
                8.5,
                ALL,
                2500,
                64_000,
                id="bedrock/claude-sonnet-4-5",
            ),
            Wanted("global.anthropic.claude-opus-5-5", 10, ALL, 3500, id="bedrock/claude-opus-5-5"),
        ],
    ),
}


def main() -> None:
    prices: Any = import_module("genai_prices.data")
    now = datetime.now(UTC)
    source, today = f"genai-prices {version('genai-prices')}", now.date().isoformat()
    known = {provider.id: provider for provider in prices.providers}
    models = [
        _model(provider, wanted, _found(known[origin], wanted.vendor), now, source, today)
        for provider, (origin, its_models) in MODELS.items()
        for wanted in its_models
    ]
    providers = [
        {"id": name, "cred_store": "secretsmanager", "cred_name": f"{name}_api_key", **told, "source": "seed"}
        for name, told in PROVIDERS.items()
    ]
    for provider in providers:
        if provider["cred_store"] == "none":
            del provider["cred_name"]
    TARGET.write_text("".join(_lines(source, today, providers, models)))
    print(f"{len(models)} models of {len(providers)} providers, from {source}")


def _found(provider: Any, vendor: str) -> Any:
    found = next((model for model in provider.models if model.id.lower() == vendor.lower()), None)
    assert found is not None, f"the source knows no {vendor}"
    return found


def _model(provider: str, wanted: Wanted, found: Any, now: datetime, source: str, today: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": wanted.id or wanted.vendor,
        "provider": provider,
        "name": wanted.vendor,
        "price": {**_price(found.get_prices(now)), "version": today},
        "enabled": not found.deprecated,
        "weight": wanted.weight,
        "context_window": found.context_window or wanted.window,
        "max_output": wanted.output,
        "capabilities": sorted(wanted.can.split()),
        "latency_ms": wanted.latency_ms,
        # The source says that it is, not since when: on this day it was.
        "deprecated_on": today if found.deprecated else "",
        "aliases": list(wanted.aliases),
        "source": source,
        "source_date": today,
    }
    return {name: value for name, value in told.items() if value not in ("", 0, []) or name in ("enabled", "weight")}


_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_written": "cache_write_mtok",
}


def _price(price: Any) -> dict[str, Any]:
    """A price that is tiered in one of its parts is tiered in all."""
    parts = {ours: getattr(price, theirs) for ours, theirs in _FIELDS.items() if getattr(price, theirs) is not None}
    starts = sorted({tier.start for part in parts.values() for tier in getattr(part, "tiers", ())})
    told: dict[str, Any] = {name: _nano(getattr(part, "base", part)) for name, part in parts.items()}
    if starts:
        told["tiers"] = [
            {"above": start, **{name: _nano(_at(part, start)) for name, part in parts.items()}} for start in starts
        ]
    return told


def _at(part: Any, start: int) -> Decimal:
    fitting = [tier for tier in getattr(part, "tiers", ()) if tier.start <= start]
    found: Decimal = max(fitting, key=lambda tier: tier.start).price if fitting else getattr(part, "base", part)
    return found


def _nano(usd_per_million: Decimal) -> int:
    """Rounded up: a budget must not be too generous."""
    return int((usd_per_million * _NANO_PER_MILLION).to_integral_value(ROUND_CEILING))


def _lines(source: str, today: str, providers: list[Any], models: list[Any]) -> Iterator[str]:
    """A line for each, so that a change of prices can be read as one."""
    yield f'{{"source":{json.dumps(source)},"date":"{today}","license":"MIT","providers":[\n'
    yield ",\n".join(json.dumps(each, separators=(",", ":")) for each in providers)
    yield '\n],"models":[\n'
    yield ",\n".join(json.dumps(each, separators=(",", ":")) for each in models)
    yield "\n]}\n"


if __name__ == "__main__":
    main()
