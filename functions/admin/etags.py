"""Lost updates: an ETag on what is read, If-Match on what is written; 412 when somebody else was quicker."""

from fastapi import Request

from quintet.errors import Failure, Kind

_CHANGED = "Somebody else has changed it: read it again, then repeat the change"


def etag(rev: int) -> dict[str, str]:
    return {"etag": f'"{rev}"'}


def agree(request: Request, rev: int | None) -> None:
    """`rev` is the one in force, None where there is nothing yet. Raises Failure(PRECONDITION_FAILED)."""
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if wanted is not None and not (rev is not None and ("*" in _tags(wanted) or f'"{rev}"' in _tags(wanted))):
        raise lost()
    if unwanted is not None and rev is not None and ("*" in _tags(unwanted) or f'"{rev}"' in _tags(unwanted)):
        raise Failure(Kind.PRECONDITION_FAILED, "It is there already")


def lost() -> Failure:
    return Failure(Kind.PRECONDITION_FAILED, _CHANGED)


def _tags(header: str) -> set[str]:
    return {each.strip().removeprefix("W/") for each in header.split(",")}
