"""The token that ElevenLabs' Speech Engine shows when it dials a server: signed with a digest of the API key."""

import hashlib
import re
from datetime import datetime

import jwt

HEADER = "x-elevenlabs-speech-engine-authorization"
_ISSUER = "https://api.elevenlabs.io/convai/speech-engine"
_SUBJECT = "convai_speech_engine_upstream"
_LEEWAY = 60  # seconds
_RESIDENCY = re.compile(r"_residency_[a-z]+$")


def signing_key(api_key: str) -> bytes:
    return hashlib.sha256(_RESIDENCY.sub("", api_key).encode()).digest()


def dialled_by_elevenlabs(api_key: str, token: str, now: datetime) -> bool:
    if not api_key:
        return False
    token = token.removeprefix("Bearer ").strip()
    try:
        claims = jwt.decode(
            token,
            signing_key(api_key),
            algorithms=["HS256"],
            issuer=_ISSUER,
            options={
                "require": ["exp", "iat", "iss", "sub"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except jwt.PyJWTError:
        return False
    expires, issued = claims["exp"], claims["iat"]
    if not isinstance(expires, int | float) or not isinstance(issued, int | float):
        return False
    at = now.timestamp()
    return claims["sub"] == _SUBJECT and at < expires + _LEEWAY and at > issued - _LEEWAY
