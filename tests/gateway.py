"""API Gateway as a function sees it: events in, answers out."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

MAX_MILLIS = 29_000


class Handler(Protocol):
    def __call__(self, event: dict[str, Any], context: Any, /) -> Any: ...


class Context:
    """What Lambda passes beside the event."""

    function_name = "test"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:test"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return MAX_MILLIS


def in_process(handler: Handler, event: dict[str, Any], context: Any) -> Any:
    return handler(event, context)


carry: Callable[[Handler, dict[str, Any], Any], Any] = in_process  # tests/roles carries it to the deployed function


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case; a header that is sent several times has several values in `all_headers`."""

    status: int
    all_headers: Mapping[str, list[str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name: ", ".join(values) for name, values in self.all_headers.items()}

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    handler: Handler,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    json: Any = None,
    ip: str = "203.0.113.7",
) -> Answer:
    """One request through a function's handler, as the REST API would pass it on. `target` may have a query."""
    return answer(carry(handler, event(method, target, headers=headers, body=body, json=json, ip=ip), Context()))


def event(
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    json: Any = None,
    ip: str = "203.0.113.7",
) -> dict[str, Any]:
    """The REST API's proxy event. Bodies arrive base64-encoded, as our API's binary media types make them."""
    path, _, query = target.partition("?")
    sent = {"Host": "api.example.test", "X-Forwarded-Proto": "https", "X-Forwarded-For": ip, **(headers or {})}
    content = _content(body, json)
    if json is not None:
        sent.setdefault("Content-Type", "application/json")
    if content is not None:
        sent.setdefault("Content-Length", str(len(content)))
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "test",
            "domainName": "api.example.test",
            "httpMethod": method,
            "identity": {"sourceIp": ip, "userAgent": sent.get("User-Agent")},
            "path": f"/test{path}",
            "protocol": "HTTP/1.1",
            "requestId": "00000000-0000-0000-0000-000000000000",
            "requestTimeEpoch": 1795170600000,
            "resourcePath": "/{proxy+}",
            "stage": "test",
        },
        "body": None if content is None else base64.b64encode(content).decode(),
        "isBase64Encoded": content is not None,
    }


def answer(returned: Mapping[str, Any]) -> Answer:
    """What a function returned, as the caller would get it."""
    headers: dict[str, list[str]] = {}
    for name, value in (returned.get("headers") or {}).items():
        headers[name.lower()] = [str(value)]
    for name, values in (returned.get("multiValueHeaders") or {}).items():
        headers[name.lower()] = [str(value) for value in values]
    text = returned.get("body") or ""
    body = base64.b64decode(text) if returned.get("isBase64Encoded") else text.encode()
    return Answer(status=returned["statusCode"], all_headers=headers, body=body)


def _content(body: bytes | str | None, value: Any) -> bytes | None:
    if value is not None:
        return json.dumps(value).encode()
    return body.encode() if isinstance(body, str) else body
