"""Which function gets a request: API Gateway's precedence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.front import Routes
from infra.local.template import Route

PATHS = [
    "/",
    "/health",
    "/v1/tasks",
    "/v1/tasks/{id}",
    "/v1/tasks/{id}/steps",
    "/v1/tasks/active",
    "/v1/{proxy+}",
    "/v1/tasks/{id}/{proxy+}",
    "/{proxy+}",
]
routes = Routes([(Route("ANY", path), path) for path in PATHS])


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/", "/"),
        ("/health", "/health"),
        ("/health/", "/health"),
        ("/healthy", "/{proxy+}"),
        ("/v1/tasks/7", "/v1/tasks/{id}"),
        ("/v1/tasks/active", "/v1/tasks/active"),
        ("/v1/tasks/7/steps", "/v1/tasks/{id}/steps"),
        ("/v1/tasks/7/other", "/v1/tasks/{id}/{proxy+}"),
        ("/v1/tasks/7/steps/2", "/v1/tasks/{id}/{proxy+}"),
        ("/v1", "/{proxy+}"),
        ("/v1/other/deep/down", "/v1/{proxy+}"),
        ("/v1.tasks", "/{proxy+}"),
        ("/a\nb", "/{proxy+}"),
    ],
)
def test_the_most_specific_resource_wins(path: str, resource: str) -> None:
    assert routes.find("GET", path) == resource


@given(st.permutations(PATHS))
def test_the_order_in_the_template_does_not_matter(order: list[str]) -> None:
    shuffled = Routes([(Route("ANY", path), path) for path in order])
    for path in ("/", "/health", "/v1/tasks/7", "/v1/tasks/active", "/v1/tasks/7/steps", "/v1/x", "/x"):
        assert shuffled.find("GET", path) == routes.find("GET", path)


def test_a_method_of_its_own_comes_before_any() -> None:
    both = Routes([(Route("ANY", "/ask"), "any"), (Route("POST", "/ask"), "post")])
    assert (both.find("POST", "/ask"), both.find("GET", "/ask")) == ("post", "any")


def test_a_resource_without_the_method_is_not_passed_over_for_a_wider_one() -> None:
    both = Routes([(Route("POST", "/ask"), "post"), (Route("ANY", "/{proxy+}"), "rest")])
    assert both.find("GET", "/ask") is None
