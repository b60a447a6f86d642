"""The keys in KMS: which names we publish, and which of our keys each stands for."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from quintet.ask.envelope.model import Wrap
from quintet.ask.envelope.opening import Unopened
from quintet.copies import own
from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.settings import settings
from quintet.store.meter import used

# KMS's words for a wrapped key that is not one: everything else is a fault of ours, or of KMS.
_NOT_OURS = frozenset({"IncorrectKeyException", "InvalidCiphertextException", "ValidationException"})


class Pair(NamedTuple):
    """The ARNs behind a public name: a symmetric key, and one of RSA."""

    symmetric: str
    rsa: str


class KmsKeys:
    async def unwrap(self, key_id: str, wrap: Wrap, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        pair = published().get(key_id)
        if pair is None:
            raise Unopened
        asked: dict[str, Any] = {"CiphertextBlob": wrapped}
        if wrap is Wrap.KMS:
            asked |= {"KeyId": pair.symmetric, "EncryptionContext": dict(context)}
        else:
            asked |= {"KeyId": pair.rsa, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
        used("kms_request" if wrap is Wrap.KMS else "kms_rsa_request")
        answer = await offload(_call, "decrypt", asked)
        key: bytes = answer["Plaintext"]
        return key

    async def public_key(self, key_id: str) -> bytes | None:
        pair = published().get(key_id)
        if pair is None:
            return None
        used("kms_rsa_request")
        answer = await offload(_call, "get_public_key", {"KeyId": pair.rsa})
        key: bytes = answer["PublicKey"]
        return key


@cache
def published() -> Mapping[str, Pair]:
    """From the settings: `<name>=<symmetric ARN>,<RSA ARN>`, with spaces between several."""
    keys: dict[str, Pair] = {}
    for entry in settings().envelope_keys.split():
        name, _, arns = entry.partition("=")
        symmetric, _, rsa = arns.partition(",")
        keys[name] = Pair(symmetric, rsa)
    return keys


def _call(operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer: dict[str, Any] = getattr(_client(), operation)(**asked)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOT_OURS:
            raise Unopened from None
        raise _unavailable() from error
    except BotoCoreError as error:
        raise _unavailable() from error
    return answer


def _unavailable() -> Failure:
    return Failure(Kind.UNAVAILABLE, "The key store cannot be asked at the moment", retry_after=1)


@own
def _client() -> Any:
    import botocore.session

    return botocore.session.get_session().create_client("kms", region_name=settings().aws_region)
