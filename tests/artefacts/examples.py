"""One event or more for every way in that template.yaml gives a function, and what has to come back."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.template import FUNCTION, Template, names_in
from quintet.events.platform import platform_event
from quintet.events.store import EventItem
from quintet.store.clock import SystemClock, millis
from quintet.store.items import to_item
from quintet.webhooks.queue import Errand
from tests.gateway import event
from tests.records import call, record
from tests.sockets import connecting, leaving, saying

_CART = [0.1, -0.5, 0.0, 1.2]
_TASK = {"title": "t", "type": "implementation", "assignee_role": "implementer"}
_HELLO = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, slots=True)
class Example:
    """`event` is made of a fresh stack's credentials and of what was kept before; the answer passes `holds`."""

    event: Callable[[Mapping[str, Any]], Any]
    holds: Callable[[Any], bool]
    keeps: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)  # of the answer, for later events
    often: bool = True  # whether nobody minds it a few times in a minute


def ways_in(template: Template) -> Iterator[tuple[str, str]]:
    """Every function with each kind of event that reaches it; streams of tables one by one."""
    for name, properties in template.of_type(FUNCTION):
        for event_name, told in properties.get("Events", {}).items():
            yield name, f"{event_name} (DynamoDB)" if told["Type"] == "DynamoDB" else told["Type"]
    assert template.sockets is not None
    yield template.sockets.id, "WebSocket"
    for _, machine in template.of_type("AWS::Serverless::StateMachine"):
        for name in names_in(machine["DefinitionSubstitutions"]):
            yield name, "StateMachine"


def asked(method: str, target: str, json: Any = None, *, key: str = "API_KEY") -> Callable[[Mapping[str, Any]], Any]:
    """Some documents' keys have a header of their own: each function takes both."""
    return lambda told: event(
        method,
        target,
        json=json,
        headers={"Authorization": f"Bearer {told[key]}", "X-Ryuzen-Key": told["RYUZEN_KEY"]},
    )


def answered(status: int, **parts: Any) -> Callable[[Any], bool]:
    """An HTTP answer with these members in its JSON."""

    def holds(answer: Any) -> bool:
        return answer.status == status and all(answer.json().get(name) == value for name, value in parts.items())

    return holds


def having(status: int, *parts: str) -> Callable[[Any], bool]:
    return lambda answer: answer.status == status and all(part in answer.text for part in parts)


def given(**expected: Any) -> Callable[[Any], bool]:
    """What an event's invocation answered, as far as it is told here."""
    return lambda answer: {name: answer.get(name) for name in expected} == expected


def queued(body: str) -> dict[str, Any]:
    return {"Records": [{"messageId": str(uuid.uuid4()), "body": body, "eventSource": "aws:sqs", "attributes": {}}]}


def streamed(**images: Any) -> dict[str, Any]:
    told = {name: to_item(image) for name, image in images.items()}
    return {"Records": [{"eventID": uuid.uuid4().hex, "eventName": "INSERT", "dynamodb": told}]}


def tick(_told: Any) -> Any:
    """What SAM's schedules send."""
    return {}


def _request(_told: Any) -> Any:
    one = record(call(at=SystemClock().now()), at=SystemClock().now())
    return streamed(Keys={"record_id": one["record_id"]}, NewImage=one)


def _logged(place: str) -> Callable[[Any], Any]:
    """An event of the platform, in the outbox or in its place in the log."""

    def made(_told: Any) -> Any:
        now = SystemClock().now()
        told = platform_event("task.completed", f"task_{uuid.uuid4().hex}", {"agent_role": "implementer"}, now=now)
        item = EventItem(
            place, "1", id=told.id, topic=told.topic, type=told.type, subject=told.subject, at=millis(now),
            data=json.dumps(told.data), needs=told.needs, seq=1, previous="", hash="0" * 64,
        )  # fmt: skip
        image = item.serialize()
        keys = {name: image[name] for name in ("pk", "sk")}
        return {
            "Records": [
                {"eventID": told.id, "eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}},
            ]
        }

    return made


def _ill(_told: Any) -> Any:
    keys = {"pk": "health", "sk": "provider#artefacts"}
    return streamed(Keys=keys, NewImage={**keys, "state": "open", "errors": 3})


def _connects(told: Mapping[str, Any]) -> Any:
    opening = connecting("cyborgmind", "artefact=", headers={"Authorization": f"Bearer {told['API_KEY']}"})
    opening["requestContext"]["connectedAt"] = millis(SystemClock().now())
    return opening


def _says(told: Mapping[str, Any]) -> Any:
    return saying(json.dumps({"observation": _CART, "token": told["API_KEY"]}), "artefact=")


_NOTHING_FAILED = given(batchItemFailures=[])

EXAMPLES: Mapping[tuple[str, str], tuple[Example, ...]] = {
    ("IdentityFunction", "Api"): (
        Example(asked("GET", "/v1/auth/me"), answered(200, success=True)),
        Example(
            lambda told: event(
                "POST",
                "/v1/auth/login",
                json={"username": told["ADMIN_USER"], "password": told["ADMIN_PASSWORD"]},
            ),
            having(200, "token"),
            often=False,
        ),
    ),
    ("PersonasFunction", "Api"): (
        Example(asked("POST", "/chat/completions", {"messages": _HELLO}), having(200, "chat.completion")),
        Example(
            asked("POST", "/v1/chat/completions", {"messages": _HELLO, "stream": True}), having(200, "data: [DONE]")
        ),
    ),
    ("AdminFunction", "Api"): (Example(asked("GET", "/admin/v1/models"), having(200, "genai-prices")),),
    ("BrokerFunction", "Api"): (
        Example(asked("POST", "/v1/chat", {"request": {"messages": _HELLO}}), having(200, "Hello")),
    ),
    ("PolicyFunction", "Api"): (Example(asked("POST", "/step", {"observation": _CART}), having(200, "action")),),
    ("TasksFunction", "Api"): (
        Example(
            asked("POST", "/v1/tasks", {"title": "t", "auto_start": False}),
            answered(201, success=True),
            {"idle": lambda answer: answer.json()["data"]["id"]},
        ),
        Example(
            # It waits for the one above, so that no execution of the emulator's own works on it.
            lambda told: asked("POST", "/v1/tasks", {**_TASK, "dependencies": [told["idle"]]})(told),
            answered(201, success=True),
            {"task": lambda answer: answer.json()["data"]["id"]},
        ),
        Example(asked("GET", "/v1/tasks"), answered(200, success=True)),
    ),
    ("WorkflowFunction", "StateMachine"): (
        Example(
            lambda told: {"step": "begin", "task_id": told["task"], "run": 0},
            lambda answer: answer["next"] in {"go", "wait"},
        ),
    ),
    ("WorkflowFunction", "ScheduleV2"): (Example(tick, lambda answer: isinstance(answer, dict)),),
    ("OperationsFunction", "Api"): (
        Example(asked("GET", "/health"), having(200, "healthy")),
        Example(asked("GET", "/console"), having(200, "<html")),
    ),
    ("AskFunction", "Api"): (
        Example(asked("POST", "/api/v1/ask", {"prompt": "Hello"}), having(200, "Hello")),
        Example(asked("GET", "/api/v1/stream?prompt=Hello"), having(200, "data: ")),
    ),
    ("SocketsFunction", "WebSocket"): (
        Example(_connects, given(statusCode=200)),
        Example(_says, given(statusCode=200)),
        Example(lambda told: leaving("artefact="), given(statusCode=200)),
    ),
    ("SocketsFunction", "SQS"): (Example(lambda told: queued("nobody="), lambda answer: answer == {}),),
    ("WebhooksFunction", "Api"): (Example(asked("GET", "/v1/webhooks"), answered(200, success=True)),),
    ("DeliverFunction", "SQS"): (Example(lambda told: queued(Errand("we_none", "dl_none").text()), _NOTHING_FAILED),),
    ("DeliverFunction", "ScheduleV2"): (Example(tick, given(sent_again=0)),),
    ("FanoutFunction", "Outbox (DynamoDB)"): (
        Example(_logged("outbox#00"), given(numbered=0)),  # another instance was there before: the outbox is empty
        Example(_logged("log#platform#0"), given(deliveries=0)),
    ),
    ("FanoutFunction", "ScheduleV2"): (Example(tick, given(numbered=0)),),
    ("RollupFunction", "Records (DynamoDB)"): (Example(_request, given(counted=1)),),
    ("RollupFunction", "Happened (DynamoDB)"): (Example(_logged("log#platform#0"), given(counted=1)),),
    ("RollupFunction", "Health (DynamoDB)"): (Example(_ill, given(told=1)),),
    ("RollupFunction", "ScheduleV2"): (Example(tick, lambda answer: "closed" in answer),),
    ("InboxFunction", "SQS"): (
        Example(lambda told: queued(json.dumps({"kind": "fold", "session": "nobody's"})), _NOTHING_FAILED),
    ),
    ("LifeFunction", "ScheduleV2"): (Example(tick, lambda answer: "lived" in answer),),
}
