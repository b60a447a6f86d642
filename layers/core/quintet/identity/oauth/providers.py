"""The four providers, as the settings describe them."""

from quintet.errors import Failure, Kind
from quintet.http.work import offload
from quintet.identity.oauth.calls import Asking
from quintet.identity.oauth.github import GitHub
from quintet.identity.oauth.model import Provider
from quintet.identity.oauth.openid import Microsoft, OpenId
from quintet.identity.recent import Recent
from quintet.settings import settings
from quintet.store.secrets import secret

_KEEP_SECONDS = 300.0
NAMES = ("google", "github", "microsoft", "custom")


class Configured:
    """Keeps them for a while: a provider remembers its documents and keys."""

    def __init__(self) -> None:
        self._kept: Recent[str, Provider] = Recent(len(NAMES), _KEEP_SECONDS)

    async def named(self, name: str) -> Provider:
        """Raises Failure for one that nobody knows, or that is not set up."""
        provider = self._kept.get(name)
        if provider is None:
            provider = await offload(_provider, name)
            self._kept.put(name, provider)
        return provider


def _provider(name: str) -> Provider:
    if name not in NAMES:
        raise Failure(Kind.NOT_FOUND, f"There is no sign-in provider '{name}': there are {', '.join(NAMES)}")
    given = settings()
    client_id = secret(f"oauth_{name}_client_id")
    if not client_id or (name == "custom" and not given.oauth_custom_issuer):
        wanted = f"OAUTH_{name.upper()}_CLIENT_ID" + (" and OAUTH_CUSTOM_ISSUER" if name == "custom" else "")
        raise Failure(Kind.UNSUPPORTED, f"Signing in with '{name}' is not set up here: it needs {wanted}")
    ask = Asking(name, client_id, secret(f"oauth_{name}_client_secret"))
    insecure = given.stage == "local"
    if name == "github":
        return GitHub(ask, given.oauth_github_url, given.oauth_github_api_url)
    if name == "microsoft":
        allowed = frozenset(given.oauth_microsoft_allowed_tenants.replace(",", " ").split())
        return Microsoft(ask, given.oauth_microsoft_tenant, allowed)
    if name == "google":
        return OpenId(ask, "https://accounts.google.com")
    if not insecure and not given.oauth_custom_issuer.startswith("https://"):
        raise ValueError("setting OAUTH_CUSTOM_ISSUER must begin with https://")
    return OpenId(ask, given.oauth_custom_issuer, insecure=insecure)
