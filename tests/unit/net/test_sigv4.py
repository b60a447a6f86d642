"""Our signatures are botocore's, byte for byte."""

from datetime import UTC, datetime

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import given
from hypothesis import strategies as st

from quintet.net.sigv4 import Credentials, sign

WHEN = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def botocore_signs(
    credentials: Credentials, service: str, region: str, url: str, headers: dict[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    request = AWSRequest("POST", url, headers=headers, data=body)
    theirs = botocore.credentials.Credentials(credentials.key_id, credentials.secret, credentials.token or None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
        botocore.auth.SigV4Auth(theirs, service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


words = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789+/=-", min_size=1, max_size=40)


@given(
    st.builds(Credentials, words, words, st.one_of(st.just(""), words)),
    st.sampled_from(["dynamodb", "execute-api", "sqs"]),
    st.sampled_from(["us-east-1", "eu-central-1"]),
    st.dictionaries(st.text("abcxyz-", min_size=1, max_size=10).map("x-".__add__), st.text("ab c", max_size=9)),
    st.binary(max_size=200),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["/", "/prod/%40connections/abc%3D"]),
)
def test_signs_as_botocore_does(
    credentials: Credentials,
    service: str,
    region: str,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
    path: str,
) -> None:
    host = f"{service}.{region}.amazonaws.com"
    ours = sign(credentials, service, region, host=host, body=body, headers=headers, now=now, path=path)
    theirs = botocore_signs(credentials, service, region, f"https://{host}{path}", headers, body, now)
    assert ours["authorization"] == theirs["authorization"]
    assert ours["x-amz-date"] == theirs["x-amz-date"]
    assert ours.get("x-amz-security-token") == theirs.get("x-amz-security-token")


def test_signs_amazons_own_example() -> None:
    """`get-vanilla` of the signature's published test suite."""
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    signed = sign(
        credentials, "service", "us-east-1", host="example.amazonaws.com", body=b"", headers={}, now=WHEN, method="GET"
    )
    assert signed == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    }


def test_a_key_is_good_for_its_day_and_no_longer() -> None:
    credentials = Credentials("id", "secret")
    days = [datetime(2026, 11, day, 23, 59, 59, tzinfo=UTC) for day in (20, 21)]
    for now in (*days, *days):
        ours = sign(credentials, "dynamodb", "us-east-1", host="a.test", body=b"{}", headers={}, now=now)
        theirs = botocore_signs(credentials, "dynamodb", "us-east-1", "https://a.test/", {}, b"{}", now)
        assert ours["authorization"] == theirs["authorization"]


def test_credentials_keep_their_secrets_out_of_a_repr() -> None:
    assert repr(Credentials("id", "s3cret", "t0ken")) == "Credentials(key_id='id')"
