"""The way to the socket as ElevenLabs' packages ask for it: /v1/convai/conversation/get-signed-url."""

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request

from personas.access import Speaker
from quintet.http.answers import Json
from quintet.http.exchange import exchange_of
from quintet.http.work import offload
from quintet.identity.minting import minted
from quintet.identity.model import PrincipalKind
from quintet.identity.tokens import keyring
from quintet.personas.cast import cast
from quintet.personas.elevenlabs.socket import PERMISSION, TOKEN
from quintet.settings import settings

router = APIRouter(prefix="/v1/convai/conversation")

_LIFETIME = timedelta(minutes=15)  # ElevenLabs' own: to begin a conversation, not for how long it lasts
_API_GATEWAY = ".execute-api."


@router.get("/get-signed-url")
@router.get("/get_signed_url")
async def signed_url(request: Request, caller: Speaker, agent_id: str = "") -> Json:
    """For clients that hold no key: it lets its bearer talk to personas on the caller's account, and nothing else."""
    now = exchange_of(request).at
    query = {"agent_id": (cast().find(agent_id) or cast().first).id}
    if caller.kind is not PrincipalKind.ANONYMOUS:
        claims = minted(caller, caller.id, _LIFETIME, now, scopes=[PERMISSION])
        query[TOKEN] = (await offload(keyring)).sign(claims, now)
    return Json({"signed_url": _socket(query)}, headers={"cache-control": "no-store"})


def _socket(query: dict[str, str]) -> str:
    """On our own host by its path; API Gateway's own has no paths, and is named by the protocol."""
    known, own = settings(), urlsplit(settings().public_url)
    if known.on_lambda and (not own.netloc or _API_GATEWAY in own.netloc):
        sockets = urlsplit(known.sockets_url)
        return f"wss://{sockets.netloc}{sockets.path}?{urlencode({'protocol': 'elevenlabs', **query})}"
    scheme = "wss" if own.scheme == "https" else "ws"
    return f"{scheme}://{own.netloc}/ws/elevenlabs?{urlencode(query)}"
