"""Signing in at a real provider, through the function's handler, with everything that can go wrong on the way."""

from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests

from tests.gateway import Answer
from tests.integration.identity.conftest import CLIENT, Caller, Configure, Provider

START = "/v1/auth/oauth2/custom"
CALLBACK = "/v1/auth/oauth2/custom/callback"


@pytest.fixture
def browser(caller: Caller, configure: Configure, provider: Provider) -> "Browser":
    configure(oauth_custom_client_id=CLIENT, oauth_custom_client_secret="secret", oauth_custom_issuer=provider.issuer)
    return Browser(caller)


class Browser:
    """Follows redirects and keeps cookies, one step at a time."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.cookies: dict[str, str] = {}

    def leave(self) -> str:
        """To the provider's page: answers its URL."""
        answer = self.caller("GET", START)
        assert answer.status == 302
        self._keep(answer)
        return answer.headers["location"]

    def visit(self, url: str) -> dict[str, str]:
        """The provider's page, which sends back at once: answers what it sends back."""
        answer = requests.get(url, allow_redirects=False, timeout=60)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        assert back.path == CALLBACK
        return {name: values[0] for name, values in parse_qs(back.query).items()}

    def come_back(self, brought: dict[str, str], how: str = "GET") -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if how == "GET":
            answer = self.caller("GET", f"{CALLBACK}?{urlencode(brought)}", headers=headers)
        elif how == "form":
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self.caller("POST", CALLBACK, headers={**headers, **form}, body=urlencode(brought))
        else:
            answer = self.caller("POST", CALLBACK, headers=headers, json=brought)
        self._keep(answer)
        return answer

    def sign_in(self) -> Answer:
        return self.come_back(self.visit(self.leave()))

    def _keep(self, answer: Answer) -> None:
        for line in answer.all_headers.get("set-cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value


def refused(answer: Answer, status: int = 401) -> str:
    assert answer.status == status, answer.text
    body = answer.json()
    assert body["success"] is False
    return str(body["error"]["message"])


@pytest.mark.parametrize("how", ["GET", "form", "JSON"])
def test_a_person_comes_in_and_is_a_viewer(browser: Browser, how: str) -> None:
    answer = browser.come_back(browser.visit(browser.leave()), how)
    assert answer.status == 200, answer.text
    data = answer.json()["data"]
    assert data["token_type"] == "bearer"
    assert data["user"]["email"] == "john@example.test"
    assert data["user"]["roles"] == ["viewer"]
    me = browser.caller("GET", "/v1/auth/me", headers={"Authorization": f"Bearer {data['access_token']}"})
    assert me.json()["data"]["name"] == "John Doe"
    refreshed = browser.caller("POST", "/v1/auth/refresh", json={"refresh_token": data["refresh_token"]})
    assert refreshed.status == 200


def test_the_same_person_is_the_same_user(browser: Browser) -> None:
    ids = {browser.sign_in().json()["data"]["user"]["id"] for _ in range(2)}
    assert len(ids) == 1


def test_the_same_address_is_not_the_same_person(browser: Browser, provider: Provider) -> None:
    john = browser.sign_in().json()["data"]["user"]
    provider.goes_wrong("same_email")
    another = browser.sign_in().json()["data"]["user"]
    assert another["email"] == john["email"]
    assert another["id"] != john["id"]


def test_an_address_that_nobody_verified_is_not_told(browser: Browser, provider: Provider) -> None:
    provider.goes_wrong("unverified_email")
    assert browser.sign_in().status == 200


def test_the_provider_is_asked_for_a_code_with_pkce_a_state_and_a_nonce(browser: Browser, provider: Provider) -> None:
    url = urlsplit(browser.leave())
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}" == provider.issuer
    assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert query["scope"] == "openid email profile"
    assert urlsplit(query["redirect_uri"]).path == CALLBACK
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) == 43


def test_the_cookie_is_the_browsers_own(browser: Browser) -> None:
    answer = browser.caller("GET", START)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("quintet-oauth=")
    assert {"HttpOnly", "Max-Age=600", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))


def test_over_https_the_cookie_is_bound_to_the_host(browser: Browser, configure: Configure) -> None:
    configure(public_url="https://api.example.test")
    cookie = browser.caller("GET", START).headers["set-cookie"]
    assert cookie.startswith("__Host-quintet-oauth=")
    assert {"Secure", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_the_cookie_goes_once_it_was_used(browser: Browser) -> None:
    answer = browser.sign_in()
    assert "Max-Age=0" in answer.headers["set-cookie"]


# ---- the state


def test_a_wrong_state_is_refused(browser: Browser) -> None:
    brought = browser.visit(browser.leave())
    assert "not known here" in refused(browser.come_back({**brought, "state": "x" * 43}), 400)


def test_a_replayed_state_is_refused(browser: Browser) -> None:
    brought = browser.visit(browser.leave())
    assert browser.come_back(brought).status == 200
    assert "not known here" in refused(browser.come_back(brought), 400)


def test_a_missing_state_is_refused(browser: Browser) -> None:
    brought = browser.visit(browser.leave())
    answer = browser.come_back({"code": brought["code"]})
    assert answer.status == 422
    assert answer.json()["error"]["details"]["field"] == "state"


def test_a_state_from_another_browser_is_refused(browser: Browser) -> None:
    """Whoever sends somebody a link to their own callback would log them in as themselves."""
    brought = browser.visit(browser.leave())
    victim = Browser(browser.caller)
    assert "another browser" in refused(victim.come_back(brought), 400)
    assert "not known here" in refused(browser.come_back(brought), 400)


def test_a_state_of_another_provider_is_refused(browser: Browser, configure: Configure) -> None:
    configure(oauth_github_client_id="x")
    brought = browser.visit(browser.leave())
    answer = browser.caller("GET", f"/v1/auth/oauth2/github/callback?{urlencode(brought)}")
    assert "not known here" in refused(answer, 400)


# ---- what the provider answers


def test_a_person_who_says_no_is_told_so(browser: Browser, provider: Provider) -> None:
    provider.goes_wrong("access_denied")
    answer = browser.sign_in()
    assert refused(answer) == "The sign-in provider 'custom' did not let you in: access_denied"
    assert answer.json()["error"]["details"] == {"error": "access_denied"}


@pytest.mark.parametrize(
    ("fault", "word"), [("token_error", "invalid_grant"), ("token_error_200", "bad_verification_code")]
)
def test_a_code_that_is_refused_lets_nobody_in(browser: Browser, provider: Provider, fault: str, word: str) -> None:
    provider.goes_wrong(fault)
    assert refused(browser.sign_in()) == f"The sign-in provider 'custom' did not let you in: {word}"


def test_a_code_of_ours_is_of_no_use_without_the_verifier(browser: Browser) -> None:
    """A code that was seen on its way: the provider compares the challenge."""
    stolen = browser.visit(browser.leave())
    own = browser.visit(browser.leave())
    assert refused(browser.come_back({**own, "code": stolen["code"]})).endswith("invalid_request")


def test_a_provider_that_fails_is_named(browser: Browser, provider: Provider) -> None:
    provider.goes_wrong("server_error")
    assert refused(browser.sign_in(), 502) == "The sign-in provider 'custom' answered 500"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("no_token", "there was none"),
        ("wrong_nonce", "it was not made for this sign-in"),
        ("no_nonce", "it was not made for this sign-in"),
        ("wrong_audience", "it was made for somebody else"),
        ("several_audiences", "it was made for somebody else"),
        ("wrong_party", "it was made for somebody else"),
        ("wrong_issuer", "it comes from another issuer"),
        ("expired", "it has expired"),
        ("no_expiry", "'exp' is missing"),
        ("no_subject", "'sub' is missing"),
        ("alg_none", "it is not signed as it should be"),
        ("hs256", "it is not signed as it should be"),
        ("tampered", "it is not signed as it should be"),
        ("unknown_key", "it is not signed as it should be"),
    ],
)
def test_an_id_token_that_does_not_count_lets_nobody_in(
    browser: Browser, provider: Provider, fault: str, why: str
) -> None:
    provider.goes_wrong(fault)
    answer = browser.sign_in()
    assert refused(answer) == f"The id_token of 'custom' does not count: {why}"
    assert answer.json()["error"]["details"] == {"error": "invalid_id_token"}


def test_an_id_token_for_several_may_be_made_for_us(browser: Browser, provider: Provider) -> None:
    provider.goes_wrong("several_audiences_ours")
    assert browser.sign_in().status == 200


def test_a_provider_may_change_its_keys(browser: Browser, provider: Provider) -> None:
    assert browser.sign_in().status == 200
    provider.goes_wrong("new_key")
    assert [browser.sign_in().status for _ in range(2)] == [200, 200]


# ---- which providers there are


def test_an_unknown_provider_is_not_found(caller: Caller) -> None:
    assert "google, github, microsoft, custom" in refused(caller("GET", "/v1/auth/oauth2/nobody"), 404)


@pytest.mark.parametrize("name", ["google", "github", "microsoft"])
def test_a_provider_that_is_not_set_up_says_what_it_needs(caller: Caller, name: str) -> None:
    answer = caller("GET", f"/v1/auth/oauth2/{name}")
    assert f"OAUTH_{name.upper()}_CLIENT_ID" in refused(answer, 501)


def test_tokens_of_a_sign_in_name_no_address(browser: Browser) -> None:
    token = browser.sign_in().json()["data"]["access_token"]
    assert "john@example.test" not in str(jwt.decode(token, options={"verify_signature": False}))
