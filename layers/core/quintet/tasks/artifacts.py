"""Files that steps brought forth: small ones lie with their step, the rest in S3."""

from collections.abc import Mapping, Sequence
from typing import Any

from quintet.copies import own
from quintet.settings import settings
from quintet.store.meter import used
from quintet.tasks.outcomes import File

INLINE = 200 * 1024  # bytes of a step's files together


def put_away(task_id: str, round: int, name: str, files: Sequence[File]) -> list[dict[str, Any]]:  # noqa: A002
    """What the step's record tells of its files. Blocking. Doing it again writes the same."""
    told: list[dict[str, Any]] = [
        {"path": file.path, "kind": file.kind, "size": len(file.content.encode()), "content": file.content}
        for file in files
    ]
    if sum(each["size"] for each in told) <= INLINE:
        return told
    for number, each in enumerate(told):
        key = f"tasks/{task_id}/{round}/{name}/{number}"
        content = str(each.pop("content")).encode()
        kind = "text/plain; charset=utf-8"
        used("s3_put")
        _client().put_object(Bucket=settings().artifacts_bucket, Key=key, Body=content, ContentType=kind)
        each["artifact"] = key
    return told


def content_of(file: Mapping[str, Any]) -> str:
    """Of a file as `put_away` has told of it. Blocking."""
    if "content" in file:
        return str(file["content"])
    used("s3_get")
    answer = _client().get_object(Bucket=settings().artifacts_bucket, Key=file["artifact"])
    text: str = answer["Body"].read().decode()
    return text


@own
def _client() -> Any:
    import botocore.session
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=20, s3={"addressing_style": "path"}, signature_version="s3v4")
    return botocore.session.get_session().create_client("s3", region_name=settings().aws_region, config=config)
