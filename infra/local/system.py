"""The parts put together: a stack at an endpoint, and the front that serves it from this machine."""

import errno
import importlib.util
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.local.children import ROOT, Child, ChildFailed, bare_environment
from infra.local.deploy import NOT_EMULATED, Deployed, Deployment, Say
from infra.local.emulator import Endpoint
from infra.local.known import STATIC_TOKEN
from infra.local.packages import Bundle, WorkingTree

READY_SECONDS = 60.0
CLOSE_SECONDS = 5.0
# A laptop is not a stack that others can reach: it is open where the documents are, and keeps no metrics or traces.
SETTINGS: Mapping[str, str] = {
    "OPEN_ACCESS": "true",
    "STATIC_TOKEN": STATIC_TOKEN,
    "POLICIES": str(ROOT / "policies"),
    "FEEDS_MAY_BE_LOCAL": "true",
    "MODELS_MAY_BE_PRIVATE": "true",
    "METRICS": "false",
    "TRACING": "false",
}
PARAMETERS: Mapping[str, str] = {"Stage": "local"}
# LocalStack has no WebSocket API without a licence, and keeps no queries of logs; the front serves our sockets.
FRONT_ALONE = ("AWS::ApiGatewayV2::", "AWS::Logs::QueryDefinition")


class System:
    """`given` goes to every function, over SETTINGS. `elsewhere`: the endpoint is not an emulator of ours."""

    front_module = "infra.local.front"

    def __init__(
        self,
        endpoint: Endpoint,
        listening: Sequence[socket.socket],
        *,
        given: Mapping[str, str] | None = None,
        elsewhere: bool = False,
        root: Path = ROOT,
        template: Path | None = None,
        say: Say = print,
    ) -> None:
        self.endpoint = endpoint
        self.url = f"http://127.0.0.1:{listening[0].getsockname()[1]}"
        packages = Bundle(root) if elsewhere else WorkingTree(root)
        without = FRONT_ALONE if elsewhere else NOT_EMULATED
        self.deployment = Deployment(endpoint, packages, root=root, template=template, without=without, say=say)
        self._listening = listening
        self._given = given or {}
        self._key = secrets.token_urlsafe(24)  # opens the way from functions to open WebSockets
        self._deployed: Deployed | None = None

    @property
    def deployed(self) -> Deployed:
        assert self._deployed is not None, "deploy first"
        return self._deployed

    def deploy(self) -> None:
        """Raises DeployFailed."""
        settings = {
            **SETTINGS,
            "PUBLIC_URL": self.url,
            **self._given,
            # Functions reach the front's WebSockets; whoever does not know the key, a web page say, does not.
            "SOCKETS_URL": f"{self.url}/{self._key}",
        }
        self._deployed = self.deployment.deploy(settings, PARAMETERS)

    def environment(self) -> dict[str, str]:
        """What the functions were told, and the way to the endpoint."""
        told = self.deployed.environment(self.deployment.functions())
        return bare_environment() | told | self.endpoint.environment()

    def front(self, before: Child | None = None) -> Child:
        """Serves already, in place of the one before.

        Raises ChildFailed, and leaves that one be, when the code does not load; why stands on the standard error.
        """
        descriptors = [each.fileno() for each in self._listening]
        told = {
            "template": str(self.deployment.template().source),
            "code": str(self.deployment.code),
            "key": self._key,
            "listening": descriptors,
        }
        child = Child(self.front_module, told, environment=self.environment(), pass_fds=descriptors)
        try:
            child.reply(READY_SECONDS)  # loaded
            if before is not None:
                before.dismiss()
                with suppress(ChildFailed):  # it may be gone already
                    before.reply(CLOSE_SECONDS)  # closed
            child.tell({"serve": True})
            child.reply(READY_SECONDS)  # serving
        except BaseException:
            child.stop()
            raise
        if before is not None:
            before.stop()
        return child

    def seed(self) -> dict[str, str]:
        """The credentials of a fresh stack; none while there is nothing that makes any."""
        if importlib.util.find_spec("infra.local.seed") is None:
            return {}
        child = Child("infra.local.seeding", {}, environment=self.environment())
        try:
            return child.reply(READY_SECONDS)
        finally:
            child.stop()


def listen(port: int) -> list[socket.socket]:
    """On loopback alone, in both families where there are two: `localhost` may mean either. Raises OSError."""
    first = socket.create_server(("127.0.0.1", port))
    try:
        second = socket.create_server(("::1", first.getsockname()[1]), family=socket.AF_INET6)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            first.close()
            raise
        return [first]  # no IPv6 here
    return [first, second]
