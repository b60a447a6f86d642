"""What is particular to each provider, over a web of the test's own."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from quintet.errors import Failure, Kind
from quintet.identity.oauth.calls import Asking
from quintet.identity.oauth.github import GitHub
from quintet.identity.oauth.model import Identity
from quintet.identity.oauth.openid import Microsoft, OpenId
from quintet.identity.oauth.providers import Configured
from quintet.net.client import NetError, Response
from quintet.store.clock import SystemClock, epoch
from tests.loops import on_a_loop
from tests.unit.identity.conftest import Configure

TENANT = "11111111-2222-3333-4444-555555555555"
BACK = "https://api.example.test/callback"


@dataclass
class Request:
    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass
class Web:
    """Answers by URL: JSON with a status of 200, a whole Response, or an exception."""

    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    async def __call__(
        self, method: str, url: str, /, *, headers: Mapping[str, str], body: bytes, timeout: float, max_bytes: int
    ) -> Response:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.asked.append(Request(method, url, headers, form))
        page = self.pages[url]
        if callable(page):
            page = page()
        if isinstance(page, Exception):
            raise page
        return page if isinstance(page, Response) else Response(200, {}, json.dumps(page).encode())

    def times(self, url: str) -> int:
        return sum(request.url == url for request in self.asked)


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An OpenID provider in a web: what it says of itself, its keys, and the tokens it signs."""

    def __init__(self, web: Web, private: rsa.RSAPrivateKey, at: str, /, **document: Any) -> None:
        self.web = web
        self.private = private
        self.issuer = at
        self.kid = "first"
        self.document = {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/keys",
            **document,
        }
        web.pages[f"{at}/.well-known/openid-configuration"] = self.document
        web.pages[f"{at}/token"] = lambda: {"id_token": self.token()}
        web.pages[f"{at}/keys"] = lambda: {"keys": [self.key(self.kid)]}
        self.claims: dict[str, Any] = {}

    def key(self, kid: str | None, **changes: Any) -> dict[str, Any]:
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": kid, **changes}

    def token(self) -> str:
        now = epoch(SystemClock().now())
        claims = {
            "iss": self.document["issuer"],
            "sub": "1234",
            "aud": "us",
            "iat": now,
            "exp": now + 60,
            "nonce": "n",
            **self.claims,
        }
        header = {"kid": self.kid} if self.kid else {}
        return jwt.encode(claims, self.private, algorithm="RS256", headers=header)


@pytest.fixture
def web() -> Web:
    return Web()


def asking(web: Web, secret: str = "s3cret", name: str = "custom") -> Asking:
    return Asking(name, "us", secret, web)


async def identity(provider: OpenId | GitHub) -> Identity:
    return await provider.identity("code", BACK, nonce="n", verifier="v")


async def failure(provider: OpenId | GitHub) -> Failure:
    with pytest.raises(Failure) as raised:
        await identity(provider)
    return raised.value


class TestOpenId:
    issuer = "https://login.example.test"

    @on_a_loop
    async def test_names_itself_in_the_header_by_default(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        Issuer(web, private, self.issuer)
        await identity(OpenId(asking(web), self.issuer))
        request = web.asked[1]
        assert b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"us:s3cret"
        assert request.form == {
            "grant_type": "authorization_code",
            "code": "code",
            "redirect_uri": BACK,
            "code_verifier": "v",
        }

    @on_a_loop
    async def test_names_itself_in_the_form_where_the_provider_likes_that(
        self, web: Web, private: rsa.RSAPrivateKey
    ) -> None:
        methods = ["client_secret_basic", "client_secret_post"]
        Issuer(web, private, self.issuer, token_endpoint_auth_methods_supported=methods)
        await identity(OpenId(asking(web), self.issuer))
        assert web.asked[1].form.items() >= {"client_id": "us", "client_secret": "s3cret"}.items()
        assert "authorization" not in web.asked[1].headers

    @on_a_loop
    async def test_goes_without_a_secret_where_there_is_none(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        Issuer(web, private, self.issuer)
        await identity(OpenId(asking(web, secret=""), self.issuer))
        assert "client_secret" not in web.asked[1].form

    @on_a_loop
    async def test_asks_for_documents_and_keys_once(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        Issuer(web, private, self.issuer)
        provider = OpenId(asking(web), self.issuer)
        for _ in range(3):
            await identity(provider)
        assert web.times(f"{self.issuer}/.well-known/openid-configuration") == web.times(f"{self.issuer}/keys") == 1

    @on_a_loop
    async def test_looks_again_for_a_key_it_does_not_know_but_not_for_each(
        self, web: Web, private: rsa.RSAPrivateKey
    ) -> None:
        its = Issuer(web, private, self.issuer)
        provider = OpenId(asking(web), self.issuer)
        await identity(provider)
        its.kid = "second"
        assert (await identity(provider)).subject == "1234"
        web.pages[f"{self.issuer}/keys"] = {"keys": [its.key("second")]}
        its.kid = "made up"
        for _ in range(5):
            assert (await failure(provider)).kind is Kind.UNAUTHENTICATED
        assert web.times(f"{self.issuer}/keys") == 2

    @on_a_loop
    async def test_a_token_may_leave_the_only_key_unnamed(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        its = Issuer(web, private, self.issuer)
        its.kid = ""
        web.pages[f"{self.issuer}/keys"] = {"keys": [its.key("only")]}
        assert (await identity(OpenId(asking(web), self.issuer))).subject == "1234"

    @pytest.mark.parametrize(
        "keys",
        [
            lambda its: [its.key("one"), its.key("two")],
            lambda its: [its.key("only", use="enc")],
            lambda its: [{"kty": "oct", "kid": "only", "k": "c2VjcmV0"}],
            lambda its: [{"kty": "EC", "kid": "only", "crv": "P-256", "x": "AA", "y": "AA"}],
            lambda its: ["nonsense"],
            lambda its: [],
        ],
        ids=["two", "for encryption", "a secret", "of another kind", "nonsense", "none"],
    )
    @on_a_loop
    async def test_a_key_that_does_not_fit_verifies_nothing(
        self, web: Web, private: rsa.RSAPrivateKey, keys: Callable[[Issuer], list[Any]]
    ) -> None:
        its = Issuer(web, private, self.issuer)
        its.kid = ""
        web.pages[f"{self.issuer}/keys"] = {"keys": keys(its)}
        refusal = await failure(OpenId(asking(web), self.issuer))
        assert refusal.message.endswith("it is not signed as it should be")

    @pytest.mark.parametrize("subject", ["", "x" * 256])
    @on_a_loop
    async def test_a_subject_has_its_bounds(self, web: Web, private: rsa.RSAPrivateKey, subject: str) -> None:
        Issuer(web, private, self.issuer).claims = {"sub": subject}
        assert (await failure(OpenId(asking(web), self.issuer))).message.endswith("it names nobody")

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"issuer": "https://evil.example.test"}, "names another issuer than the one it was asked for"),
            ({"token_endpoint": "http://login.example.test/token"}, "has an endpoint without TLS"),
            ({"jwks_uri": None}, "does not say where its endpoints are"),
        ],
    )
    @on_a_loop
    async def test_a_document_that_leads_astray_is_not_followed(
        self, web: Web, private: rsa.RSAPrivateKey, document: dict[str, Any], message: str
    ) -> None:
        Issuer(web, private, self.issuer, **document)
        refusal = await failure(OpenId(asking(web), self.issuer))
        assert (refusal.kind, refusal.message) == (Kind.UPSTREAM, f"The sign-in provider 'custom' {message}")
        assert len(web.asked) == 1

    @pytest.mark.parametrize(
        ("page", "message"),
        [
            (NetError("no route", sent=False), "could not be reached"),
            (Response(503, {}, b"{}"), "answered 503"),
            (Response(200, {}, b"<html>"), "answered 200 without JSON"),
            ([], "does not say where its endpoints are"),
        ],
    )
    @on_a_loop
    async def test_a_provider_that_is_not_there_is_named(self, web: Web, page: Any, message: str) -> None:
        web.pages[f"{self.issuer}/.well-known/openid-configuration"] = page
        refusal = await failure(OpenId(asking(web), self.issuer))
        assert (refusal.kind, refusal.message) == (Kind.UPSTREAM, f"The sign-in provider 'custom' {message}")

    @on_a_loop
    async def test_a_strange_error_word_is_not_passed_on(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        Issuer(web, private, self.issuer)
        web.pages[f"{self.issuer}/token"] = Response(400, {}, b'{"error": "<script>"}')
        assert (await failure(OpenId(asking(web), self.issuer))).message.endswith("did not let you in: error")

    @on_a_loop
    async def test_an_issuer_may_end_with_a_slash_and_an_endpoint_have_a_query(self, web: Web) -> None:
        document = {
            "issuer": "https://a.example.test/",
            "authorization_endpoint": "https://a.example.test/go?p=1",
            "token_endpoint": "https://a.example.test/token",
            "jwks_uri": "https://a.example.test/keys",
        }
        web.pages["https://a.example.test/.well-known/openid-configuration"] = document
        provider = OpenId(asking(web), "https://a.example.test/")
        url = await provider.authorization_url(BACK, state="s", nonce="n", challenge="c")
        assert url.startswith("https://a.example.test/go?p=1&response_type=code&")

    def test_a_secret_is_not_shown(self, web: Web) -> None:
        assert "s3cret" not in repr(asking(web))


class TestMicrosoft:
    """Its document for `common` names a template where others name themselves."""

    authority = "https://login.microsoftonline.com"

    def provider(self, web: Web, private: rsa.RSAPrivateKey, *allowed: str, **claims: Any) -> Microsoft:
        its = Issuer(web, private, f"{self.authority}/common/v2.0", issuer=f"{self.authority}/{{tenantid}}/v2.0")
        its.claims = {"tid": TENANT, "iss": f"{self.authority}/{TENANT}/v2.0", **claims}
        return Microsoft(asking(web, name="microsoft"), "common", frozenset(allowed))

    @on_a_loop
    async def test_the_issuer_is_the_tenants(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        who = await identity(self.provider(web, private))
        assert (who.issuer, who.subject) == (f"{self.authority}/{TENANT}/v2.0", "1234")

    @on_a_loop
    async def test_a_tenant_may_be_among_those_allowed(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        assert await identity(self.provider(web, private, TENANT))

    @pytest.mark.parametrize(
        ("claims", "why"),
        [
            ({"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "it comes from another issuer"),
            ({"iss": f"https://evil.example.test/{TENANT}/v2.0"}, "it comes from another issuer"),
            ({"tid": TENANT.replace("1", "9")}, "it comes from another issuer"),
            ({"tid": "../evil"}, "it names no tenant"),
            ({"tid": None}, "it names no tenant"),
        ],
    )
    @on_a_loop
    async def test_an_issuer_that_is_not_the_tenants_is_refused(
        self, web: Web, private: rsa.RSAPrivateKey, claims: dict[str, Any], why: str
    ) -> None:
        refusal = await failure(self.provider(web, private, **claims))
        assert refusal.message == f"The id_token of 'microsoft' does not count: {why}"

    @on_a_loop
    async def test_a_tenant_that_is_not_allowed_is_refused(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        refusal = await failure(self.provider(web, private, TENANT.replace("1", "9")))
        assert refusal.message.endswith("its tenant is not among those that may come in")

    @on_a_loop
    async def test_a_document_of_another_authority_is_not_followed(self, web: Web, private: rsa.RSAPrivateKey) -> None:
        Issuer(web, private, f"{self.authority}/common/v2.0", issuer="https://evil.example.test/{tenantid}/v2.0")
        provider = Microsoft(asking(web), "common", frozenset())
        assert (await failure(provider)).kind is Kind.UPSTREAM


class TestGitHub:
    token = "https://github.com/login/oauth/access_token"
    user = "https://api.github.com/user"
    emails = "https://api.github.com/user/emails"

    @pytest.fixture
    def web(self) -> Web:
        return Web(
            {
                self.token: {"access_token": "gho_1", "token_type": "bearer", "scope": "read:user,user:email"},
                self.user: {"id": 583231, "login": "octocat", "name": None, "email": "shown@example.test"},
                self.emails: [
                    {"email": "other@example.test", "primary": False, "verified": True},
                    {"email": "octocat@example.test", "primary": True, "verified": True},
                ],
            }
        )

    @on_a_loop
    async def test_a_number_names_the_account(self, web: Web) -> None:
        who = await identity(GitHub(asking(web)))
        assert who == Identity("https://github.com", "583231", "octocat@example.test", "octocat")

    @on_a_loop
    async def test_the_code_is_exchanged_with_the_verifier_for_json(self, web: Web) -> None:
        await identity(GitHub(asking(web)))
        token, user, _ = web.asked
        assert token.headers["accept"] == "application/json"
        assert token.form == {
            "client_id": "us",
            "client_secret": "s3cret",
            "code": "code",
            "redirect_uri": BACK,
            "code_verifier": "v",
        }
        assert user.headers["authorization"] == "Bearer gho_1"

    @on_a_loop
    async def test_an_error_that_comes_with_200_is_one(self, web: Web) -> None:
        web.pages[self.token] = {"error": "bad_verification_code", "error_description": "The code is incorrect"}
        refusal = await failure(GitHub(asking(web, name="github")))
        assert refusal.message == "The sign-in provider 'github' did not let you in: bad_verification_code"
        assert refusal.kind is Kind.UNAUTHENTICATED

    @pytest.mark.parametrize(
        "emails", [[], [{"email": "a@b", "primary": True, "verified": False}], {"message": "?"}, ["nonsense"]]
    )
    @on_a_loop
    async def test_an_address_that_nobody_verified_is_none(self, web: Web, emails: Any) -> None:
        web.pages[self.emails] = emails
        assert (await identity(GitHub(asking(web)))).email is None

    @pytest.mark.parametrize("user", [{}, {"id": "583231"}, []])
    @on_a_loop
    async def test_an_answer_without_a_user_is_a_failure(self, web: Web, user: Any) -> None:
        web.pages[self.user] = user
        assert (await failure(GitHub(asking(web)))).kind is Kind.UPSTREAM

    @on_a_loop
    async def test_an_answer_without_a_token_is_a_failure(self, web: Web) -> None:
        web.pages[self.token] = {}
        assert (await failure(GitHub(asking(web)))).kind is Kind.UPSTREAM

    @on_a_loop
    async def test_the_browser_is_sent_with_pkce(self, web: Web) -> None:
        url = urlsplit(await GitHub(asking(web)).authorization_url(BACK, state="s", nonce="n", challenge="c"))
        assert (url.netloc, url.path) == ("github.com", "/login/oauth/authorize")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert query == {
            "client_id": "us",
            "redirect_uri": BACK,
            "scope": "read:user user:email",
            "state": "s",
            "code_challenge": "c",
            "code_challenge_method": "S256",
        }


class TestTheConfiguredProviders:
    @on_a_loop
    async def test_are_four(self, configure: Configure) -> None:
        names = ("google", "github", "microsoft", "custom")
        configure(**{f"oauth_{name}_client_id": "us" for name in names}, oauth_custom_issuer="https://a.example.test")
        kinds = [type(await Configured().named(name)) for name in names]
        assert kinds == [OpenId, GitHub, Microsoft, OpenId]

    @on_a_loop
    async def test_are_kept(self, configure: Configure) -> None:
        configure(oauth_google_client_id="us")
        configured = Configured()
        assert await configured.named("google") is await configured.named("google")

    @pytest.mark.parametrize("issuer", ["http://login.example.test", "login.example.test"])
    @on_a_loop
    async def test_need_tls_in_a_deployed_stack(self, configure: Configure, issuer: str) -> None:
        configure(stage="prod", oauth_custom_client_id="us", oauth_custom_issuer=issuer)
        with pytest.raises(ValueError, match="OAUTH_CUSTOM_ISSUER"):
            await Configured().named("custom")

    @on_a_loop
    async def test_say_what_they_need(self, configure: Configure) -> None:
        configure(oauth_custom_client_id="us")
        with pytest.raises(Failure, match="OAUTH_CUSTOM_CLIENT_ID and OAUTH_CUSTOM_ISSUER") as unsupported:
            await Configured().named("custom")
        assert unsupported.value.kind is Kind.UNSUPPORTED
