"""What a caller needs to seal prompts: its own id, and the keys to seal them for."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from ask.prompts import Asked, subject_of
from ask.services import opener, sealing_keys
from quintet.ask.envelope.model import ALGORITHM, Wrap
from quintet.errors import Failure, Kind
from quintet.http.answers import Json
from quintet.identity.door import principal
from quintet.identity.model import Principal
from quintet.store.clock import iso

router = APIRouter(prefix="/api/v1/keys")


@router.get("/me")
async def me(caller: Annotated[Principal, Depends(principal)]) -> Json:
    """`subject` is what a sealed prompt is bound to (`sub`), and KMS's encryption context names as the principal."""
    return Json(
        {
            "key_id": caller.key_id,
            "subject": subject_of(caller),
            "name": caller.name,
            "owner": caller.id,
            "roles": list(caller.roles),
            "scopes": list(caller.scopes),
            "expires_at": iso(caller.expires_at) if caller.expires_at else None,
            "encryption": {
                "algorithm": ALGORITHM,
                "key_wraps": [*Wrap],
                "key_ids": sorted(sealing_keys()),
            },
        }
    )


@router.get("/{key_id:path}")
async def sealing_key(key_id: str, _asked: Asked, _caller: Annotated[Principal, Depends(principal)]) -> Json:
    """The public half of a key that prompts may be sealed for."""
    der = await opener().keys.public_key(key_id)
    if der is None:
        raise Failure(
            Kind.NOT_FOUND, "There is no key of this name to seal prompts for: GET /api/v1/keys/me lists them"
        )
    return Json(_told(key_id, der))


def _told(key_id: str, der: bytes) -> dict[str, Any]:
    body = base64.encodebytes(der).decode().replace("\n", "")
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    return {
        "key_id": key_id,
        "key_wrap": Wrap.RSA.value,
        "algorithm": ALGORITHM,
        "key_spec": "RSA_3072",
        "public_key": f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n",
    }
