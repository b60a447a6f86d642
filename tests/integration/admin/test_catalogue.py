"""Providers, models and routing defaults through the API, as the next request's routing sees them."""

import secrets
from typing import Any

import pytest

from tests.integration.admin.conftest import Admin
from tests.integration.admin.test_audit import numbered


@pytest.fixture
def provider(admin: Admin) -> str:
    name = f"p-{secrets.token_hex(4)}"
    admin("POST", "/providers", {"id": name, "type": "openai", "base_url": "http://localhost:9/v1"})
    return name


@pytest.fixture
def model(admin: Admin, provider: str) -> str:
    name = f"m/{secrets.token_hex(4)}"
    admin("POST", "/models", {"id": name, "provider_id": provider, "input_per_1k": 0.003, "output_per_1k": 0.015})
    return name


def engine(admin: Admin, model: str) -> Any:
    return next((each for each in admin("GET", "/engine/models")["models"] if each["id"] == model), None)


class TestProviders:
    def test_are_listed_and_shown(self, admin: Admin, provider: str) -> None:
        (shown,) = [each for each in admin("GET", "/providers")["providers"] if each["id"] == provider]
        assert shown == admin("GET", f"/providers/{provider}")
        assert shown.items() >= {"type": "openai", "cred_store": "none", "enabled": True, "configured": True}.items()
        assert "builtin" in [each["id"] for each in admin("GET", "/providers")["providers"]]

    def test_are_replaced(self, admin: Admin, provider: str) -> None:
        admin("POST", "/providers", {"id": provider, "type": "anthropic", "enabled": False})
        shown = admin("GET", f"/providers/{provider}")
        assert (shown["type"], shown["enabled"], shown["base_url"]) == ("anthropic", False, "")

    def test_are_gone_when_deleted_and_their_models_with_them(self, admin: Admin, provider: str, model: str) -> None:
        assert engine(admin, model)["routable"]
        assert admin("DELETE", f"/providers/{provider}") == {"id": provider, "deleted": True}
        assert not engine(admin, model)["routable"]
        assert provider in admin.refused("GET", f"/providers/{provider}", status=404)
        admin.refused("DELETE", f"/providers/{provider}", status=404)

    def test_lose_no_update(self, admin: Admin, provider: str) -> None:
        tag = admin.answer("GET", f"/providers/{provider}").headers["etag"]
        order = {"id": provider, "type": "openai"}
        assert admin.answer("POST", "/providers", order, **{"If-Match": tag}).headers["etag"] != tag
        assert "read it again" in admin.refused("POST", "/providers", order, status=412, **{"If-Match": tag})
        admin.refused("DELETE", f"/providers/{provider}", status=412, **{"If-Match": tag})
        admin.refused("POST", "/providers", order, status=412, **{"If-None-Match": "*"})
        admin.refused("POST", "/providers", {**order, "id": "never"}, status=412, **{"If-Match": "*"})

    @pytest.mark.parametrize(
        ("order", "field"),
        [
            ({"type": "openai"}, "id"),
            ({"id": "a b", "type": "openai"}, "id"),
            ({"id": "x"}, "type"),
            ({"id": "x", "type": "smoke"}, "type"),
            ({"id": "x", "type": "openai", "base_url": "ftp://example.com"}, "base_url"),
            ({"id": "x", "type": "openai", "base_url": "http://169.254.169.254/latest"}, "base_url"),
            ({"id": "x", "type": "openai", "base_url": "https://user:pw@example.com"}, "base_url"),
            ({"id": "x", "type": "openai", "base_url": "https://example.com/v1?key=1"}, "base_url"),
            ({"id": "x", "type": "openai", "cred_store": "pocket"}, "cred_store"),
            ({"id": "x", "type": "openai", "cred_store": "env", "cred_name": "path"}, "cred_name"),
            ({"id": "x", "type": "openai", "cred_store": "secretsmanager", "cred_name": "jwt_secret"}, "cred_name"),
            ({"id": "x", "type": "openai", "cred_store": "env", "api_key": "sk"}, "cred_name"),
            ({"id": "x", "type": "openai", "cred_store": "none", "api_key": "sk"}, "api_key"),
            ({"id": "x", "type": "openai", "options": {"api_key": "sk"}}, "options"),
            ({"id": "x", "type": "openai", "options": {"headers": [{"Authorization": "Bearer sk"}]}}, "options"),
            ({"id": "x", "type": "openai", "options": {"note": "x" * 20_000}}, "options"),
            ({"id": "x", "type": "openai", "options": {"note": "\ud800"}}, "options"),
            ({"id": "x", "type": "openai", "options": {"note": float("nan")}}, "options"),
            ({"id": "x", "type": "openai", "colour": "red"}, "colour"),
        ],
    )
    def test_are_refused_by_field(self, admin: Admin, order: Any, field: str) -> None:
        assert admin.refused("POST", "/providers", order, status=400).startswith(f"{field}: ")

    def test_builtin_stays(self, admin: Admin) -> None:
        assert "disable" in admin.refused("DELETE", "/providers/builtin", status=409)


class TestModels:
    def test_are_routable_at_once_and_no_longer_when_deleted(self, admin: Admin, model: str) -> None:
        assert engine(admin, model)["routable"]
        assert admin("PATCH", f"/models/{model}", {"enabled": False})["enabled"] is False
        assert engine(admin, model)["excluded"] == "disabled"
        admin("PATCH", f"/models/{model}", {"enabled": True})
        assert engine(admin, model)["routable"]
        assert admin("DELETE", f"/models/{model}") == {"id": model, "deleted": True}
        assert engine(admin, model) is None
        admin.refused("PATCH", f"/models/{model}", {"weight": 1}, status=404)

    def test_tell_all_of_themselves(self, admin: Admin, provider: str) -> None:
        order = {
            "id": f"m-{provider}",
            "provider_id": provider,
            "name": "gpt-x",
            "weight": 8.5,
            "context_window": 200_000,
            "max_output": 8192,
            "input_per_1k": 0.000075,
            "output_per_1k": 0.0003,
            "cached_per_1k": 0.00001875,
            "tiers": [{"above_tokens": 128_000, "input_per_1k": 0.00015, "output_per_1k": 0.0006}],
            "capabilities": ["tools", "function_calling", "vision"],
            "aliases": [f"alias-{provider}"],
            "deprecated_on": "2020-01-01",
            "latency_ms": 800,
            "options": {"sampling": False},
        }
        shown = admin("POST", "/models", order)
        assert shown == admin("GET", f"/models/m-{provider}")
        assert (
            shown.items()
            >= {
                **order,
                "capabilities": ["tools", "vision"],
                "tiers": shown["tiers"],
                "cached_per_1k": 0.000019,
            }.items()
        )
        assert shown["deprecated"] is True
        assert shown["tiers"][0]["above_tokens"] == 128_000
        assert [each for each in admin("GET", "/models")["models"] if each["id"] == order["id"]] == [shown]

    def test_take_the_words_of_other_gateways(self, admin: Admin, provider: str) -> None:
        order = {"id": f"n-{provider}", "provider": provider, "max_context_tokens": 8192}
        shown = admin("POST", "/models", {**order, "capabilities": {"planning": True, "vision": False}})
        assert (shown["context_window"], shown["capabilities"]) == (8192, ["planning"])

    def test_change_in_part(self, admin: Admin, model: str) -> None:
        before = admin("GET", f"/models/{model}")
        after = admin("PATCH", f"/models/{model}", {"weight": 9, "output_per_1k": 0.02})
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"weight", "output_per_1k", "price_version", "updated_at", "rev"} or changed == {
            "weight",
            "output_per_1k",
            "price_version",
            "rev",
        }
        again = admin("PATCH", f"/models/{model}", {"weight": 3})
        assert again["price_version"] == after["price_version"]

    def test_lose_no_update(self, admin: Admin, model: str) -> None:
        tag = admin.answer("GET", f"/models/{model}").headers["etag"]
        admin("PATCH", f"/models/{model}", {"weight": 1}, 200, **{"If-Match": tag})
        admin.refused("PATCH", f"/models/{model}", {"weight": 2}, status=412, **{"If-Match": tag})
        admin.refused("DELETE", f"/models/{model}", status=412, **{"If-Match": tag})
        assert admin("GET", f"/models/{model}")["weight"] == 1

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"weight": 11}, "weight"),
            ({"weight": -1}, "weight"),
            ({"weight": "heavy"}, "weight"),
            ({"input_per_1k": -1}, "input_per_1k"),
            ({"context_window": -1}, "context_window"),
            ({"provider_id": "nobody"}, "provider_id"),
            ({"aliases": ["builtin/echo"]}, "aliases"),
            ({"deprecated_on": "soon"}, "deprecated_on"),
            ({"options": {"note": "x" * 20_000}}, "options"),
            ({"options": {"note": float("inf")}}, "options"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_are_refused_by_field(self, admin: Admin, model: str, change: Any, field: str) -> None:
        before = admin("GET", f"/models/{model}")
        assert admin.refused("PATCH", f"/models/{model}", change, status=400).startswith(field)
        assert admin.refused(
            "POST", "/models", {"id": model, "provider_id": before["provider_id"], **change}, status=400
        )
        assert admin("GET", f"/models/{model}") == before

    def test_need_a_provider(self, admin: Admin) -> None:
        assert admin.refused("POST", "/models", {"id": "x"}, status=400).startswith("provider_id: ")

    def test_show_how_routing_sees_them(self, admin: Admin, model: str) -> None:
        snapshot = admin("GET", "/engine/models")
        assert snapshot.keys() >= {"models", "adapters"}
        provider = admin("GET", f"/models/{model}")["provider_id"]
        (adapter,) = [each for each in snapshot["adapters"] if each["provider_id"] == provider]
        assert (adapter["type"], adapter["state"], adapter["models"]) == ("openai", "healthy", 1)


class TestRoutingDefaults:
    def test_are_there_before_anybody_set_any_and_change_in_part(self, admin: Admin) -> None:
        before = admin("GET", "/routing-config")
        if before["rev"] == 0:
            assert (before["mode"], before["max_budget_usd"], before["max_latency_ms"]) == ("normal", 0.05, 20_000)
        after = admin("PUT", "/routing-config", {"mode": "thompson", "max_budget_usd": 0.1})
        assert (after["mode"], after["max_budget_usd"], after["max_latency_ms"]) == ("thompson", 0.1, 20_000)
        assert admin("GET", "/routing-config") == after
        put = admin(
            "PUT", "/routing-config", {"default_mode": "normal", "max_budget_usd": 0.05, "max_latency_ms": 20_000}
        )
        assert put["mode"] == "normal"
        assert admin("PUT", "/routing-config", put)["mode"] == "normal"  # as it was told

    @pytest.mark.parametrize(
        ("order", "field"),
        [
            ({"mode": "reckless"}, "mode"),
            ({"max_budget_usd": 101}, "max_budget_usd"),
            ({"max_budget_usd": -1}, "max_budget_usd"),
            ({"max_latency_ms": 300_001}, "max_latency_ms"),
            ({"min_weight": 11}, "min_weight"),
            ({"mode": "cheap", "min_wieght": 3}, "min_wieght"),
        ],
    )
    def test_are_refused_by_field(self, admin: Admin, order: Any, field: str) -> None:
        assert admin.refused("PUT", "/routing-config", order, status=400).startswith(f"{field}: ")

    def test_lose_no_update(self, admin: Admin) -> None:
        tag = admin.answer("GET", "/routing-config").headers["etag"]
        admin("PUT", "/routing-config", {"min_weight": 0}, 200, **{"If-Match": tag})
        admin.refused("PUT", "/routing-config", {"min_weight": 1}, status=412, **{"If-Match": tag})


def test_every_change_is_in_the_audit(admin: Admin, model: str) -> None:
    admin("PATCH", f"/models/{model}", {"weight": 4})
    provider = admin("GET", f"/models/{model}")["provider_id"]
    admin("PUT", "/routing-config", {"min_weight": 0})
    admin("DELETE", f"/models/{model}")
    admin("DELETE", f"/providers/{provider}")
    numbered()
    told = [each["action"] for each in admin("GET", "/audit?limit=500")["audit"] if each["actor"] == admin.name]
    expected = [
        "model.changed",
        "model.created",
        "model.removed",
        "provider.created",
        "provider.removed",
        "routing.changed",
    ]
    assert sorted(told) == expected


def test_health_tells_of_every_provider(admin: Admin, provider: str) -> None:
    (told,) = [each for each in admin("GET", "/health")["providers"] if each["provider_id"] == provider]
    assert told == {
        "provider_id": provider,
        "state": "healthy",
        "total_requests": 0,
        "total_errors": 0,
        "consec_errors": 0,
        "avg_latency_ms": 0.0,
        "last_error": None,
        "last_error_time": None,
        "last_success_at": None,
        "cooldown_until": None,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/providers"), ("POST", "/models"), ("PUT", "/routing-config"), ("GET", "/engine/models")],
)
def test_all_of_it_is_for_admins_alone(viewer: Admin, method: str, path: str) -> None:
    viewer.refused(method, path, {} if method != "GET" else None, status=403)
