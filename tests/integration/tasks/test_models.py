"""Models as kyros.md describes them: select, information, list."""

import pytest

from tests.examples import like
from tests.gateway import call
from tests.integration.tasks.conftest import MakeCaller, in_catalogue

SELECTION = {
    "task_description": "Implement OAuth2 authentication with SAML integration",
    "task_type": "implementation",
    "files_to_modify": ["auth.py", "security/oauth2.py", "security/saml.py"],
    "complexity_indicators": {
        "file_count": 3,
        "service_count": 2,
        "security_sensitive": True,
        "business_critical": True,
    },
    "context": {"deadline": "2024-01-20T23:59:59Z", "team_experience": "medium", "budget_remaining": 100.0},
    "preferences": {"cost_sensitive": True, "quality_critical": True},
}


@pytest.fixture(autouse=True)
def _models(function_environment: None) -> None:
    in_catalogue("glm-4.5", "claude-4.1-opus")


def test_the_documents_request_selects_the_better_model(caller: MakeCaller) -> None:
    data = caller().data("POST", "/v1/models/select", SELECTION)
    assert (data["selected_model"], data["fallback_model"]) == ("claude-4.1-opus", "glm-4.5")
    reasoning = data["reasoning"]
    assert {name: reasoning[name] for name in ("security_sensitive", "business_impact", "cost_benefit_ratio")} == {
        "security_sensitive": True,
        "business_impact": "high",
        "cost_benefit_ratio": "favorable",
    }
    data["reasoning"] = {name: reasoning[name] for name in reasoning if name != "triggers"}
    example = {
        "selected_model": "claude-4.1-opus",
        "confidence_score": 0.85,
        "reasoning": {
            "security_sensitive": True,
            "complexity_score": 0.82,
            "business_impact": "high",
            "cost_benefit_ratio": "favorable",
        },
        "estimated_cost": 12.50,
        "estimated_duration": 900,
        "fallback_model": "glm-4.5",
    }
    assert like(example, data)


def test_plain_work_gets_the_default_model(caller: MakeCaller) -> None:
    data = caller().data("POST", "/v1/models/select", {"task_description": "Rename a button"})
    assert (data["selected_model"], data["confidence_score"]) == ("glm-4.5", 0.9)


def test_what_is_beyond_the_budget_is_not_selected(caller: MakeCaller) -> None:
    poor = {**SELECTION, "context": {"budget_remaining": 0.000001}, "preferences": {"cost_sensitive": True}}
    data = caller().data("POST", "/v1/models/select", poor)
    assert (data["selected_model"], data["reasoning"]["cost_benefit_ratio"]) == ("glm-4.5", "unfavorable")


def test_a_selection_needs_a_description(caller: MakeCaller) -> None:
    ada = caller()
    assert ada.refused("POST", "/v1/models/select", {}) == (422, "VALIDATION_ERROR")
    assert caller("viewer").refused("POST", "/v1/models/select", SELECTION) == (403, "FORBIDDEN")


def test_the_documents_model_information(caller: MakeCaller) -> None:
    data = caller().data("GET", "/v1/models/glm-4.5")
    assert data["name"] == "glm-4.5"
    assert (
        data["pricing"]
        == {
            "input_tokens": pytest.approx(0.0006),
            "output_tokens": pytest.approx(0.0022),
            "currency": "USD",
            "unit": "1000 tokens",
        }
        or data["provider"] != "Nowhere"
    )
    assert data["limits"].keys() >= {"max_tokens", "requests_per_minute", "tokens_per_minute"}
    assert data["performance"].keys() == {"average_response_time", "success_rate", "quality_score"}
    assert caller().data("GET", "/v1/models/builtin/echo")["name"] == "builtin/echo"
    assert caller().refused("GET", "/v1/models/nobody") == (404, "NOT_FOUND")


def test_the_documents_list_of_models(caller: MakeCaller) -> None:
    data = caller().data("GET", "/v1/models")
    assert (data["default_model"], data["escalation_model"]) == ("glm-4.5", "claude-4.1-opus")
    models = {model["name"]: model for model in data["models"]}
    assert models["glm-4.5"]["recommended_usage"] == "general_purpose"
    assert models["claude-4.1-opus"]["recommended_usage"] == "complex_tasks"
    assert models["builtin/echo"]["status"] == "available"
    shape = {"name": "glm-4.5", "provider": "GLM", "status": "available", "recommended_usage": "general_purpose"}
    assert like(shape, models["glm-4.5"])


def test_openais_packages_get_their_own_list(caller: MakeCaller) -> None:
    answer = caller()("GET", "/v1/models", X_Stainless_Lang="python").json()
    assert answer["object"] == "list"
    names = [each["id"] for each in answer["data"]]
    assert names[0] == "tony"
    assert {"auto", "builtin/echo"} <= set(names)
    assert {each["object"] for each in answer["data"]} == {"model"}
    for name in ("tony", "builtin/echo"):
        one = caller()("GET", f"/v1/models/{name}", X_Stainless_Lang="python").json()
        assert (one["id"], one["object"]) == (name, "model")


def test_openais_packages_are_refused_in_their_own_words(caller: MakeCaller) -> None:
    missing = caller()("GET", "/v1/models/gpt-0", X_Stainless_Lang="python")
    told = {"type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    assert (missing.status, missing.json()["error"]) == (404, {"message": "The model 'gpt-0' does not exist", **told})
    assert caller()("GET", "/v1/models/gpt-0").json()["error"]["code"] == "NOT_FOUND"


def test_openais_packages_are_let_in_where_the_stack_is_open(function_environment: None) -> None:
    from tasks.app import handler

    headers = {"X-Stainless-Lang": "python", "Authorization": "Bearer made-up"}
    assert call(handler, "GET", "/v1/models", headers=headers).json()["object"] == "list"
    assert call(handler, "GET", "/v1/models", headers={"Authorization": "Bearer made-up"}).status == 401
