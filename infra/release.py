"""Deploys a stack into an AWS account and makes it usable: builds, checks, deploys, then gives it somebody to be.

`make deploy` runs it, with SAM's own environment beside ours for what SAM does.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

from infra.shipped import BUILT, digest, shipped

ROOT = Path(__file__).resolve().parents[1]
ADMIN = "admin"
CONFIG = "samconfig.toml"
_ENVIRONMENTS = {"dev": "default"}  # what samconfig.toml calls them


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack as CloudFormation describes it."""

    name: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    @classmethod
    def described(cls, cloudformation: Any, name: str) -> "Stack":
        told = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in told.get("Outputs", [])}
        parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in told.get("Parameters", [])}
        return cls(name, cloudformation.meta.region_name, outputs, parameters)

    def environment(self) -> dict[str, str]:
        """What our code needs to work on this stack's tables from here."""
        return {
            "AWS_REGION": self.region,
            "STAGE": self.parameters.get("Stage", "dev"),
            "TABLE_PREFIX": self.outputs["TablePrefix"],
            "SIGNING_SECRET_ID": self.outputs["SigningSecretArn"],
            "INTEGRATIONS_SECRET_ID": self.outputs["IntegrationsSecretArn"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("--env", default="dev", help="an environment of samconfig.toml")
    parser.add_argument("--sam", required=True, help="the SAM command line")
    parser.add_argument(
        "--destroy", action="store_true", help="delete the stack; tables, keys and secrets are retained"
    )
    options = parser.parse_args()
    name = stack_name(ROOT / CONFIG, options.env)
    sam = [*options.sam.split(), "--config-env", _ENVIRONMENTS.get(options.env, options.env)]
    if options.destroy:
        _run([sam[0], "delete", *sam[1:], "--stack-name", name])
        print('\nTables, keys, secrets and the artifacts\' bucket are retained: docs/operations.md, "What stays".')
        return
    for step in (["validate", "--lint"], ["build"]):
        _run([sam[0], *step, *sam[1:]])
    said = parameters(ROOT / CONFIG, options.env)
    stack = _deployed(sam, name, said, _present(name))
    if not stack.parameters.get("PublicUrl"):
        # The API names its functions, so that its own address cannot be told to them in the first deployment.
        url = stack.outputs.get("EdgeUrl") or stack.outputs["Url"]
        stack = _deployed(sam, name, {**said, "PublicUrl": url}, stack.parameters)
    os.environ.update(stack.environment())
    print(f"\n{fill_catalogue()} providers and models written into the catalogue")
    show(stack, settle_in())


def stack_name(config: Path, environment: str) -> str:
    """Raises SystemExit for an environment that the file does not have."""
    known = tomllib.loads(config.read_text())
    found = known.get(_ENVIRONMENTS.get(environment, environment))
    if found is None:
        sys.exit(f"make deploy: {config.name} has no environment '{environment}'")
    name: str = found["global"]["parameters"]["stack_name"]
    return name


def parameters(config: Path, environment: str) -> dict[str, str]:
    """What the file says of the template's parameters: one text, or a list of them."""
    known = tomllib.loads(config.read_text())
    told = known[_ENVIRONMENTS.get(environment, environment)].get("deploy", {}).get("parameters", {})
    overrides = told.get("parameter_overrides", "")
    words = shlex.split(overrides) if isinstance(overrides, str) else overrides
    return dict(word.split("=", 1) for word in words)


def release_of(built: Path, parameters: Mapping[str, str]) -> str:
    """The same for the same code, layers, template and parameters: then no version is published, no snapshot taken."""
    told = sha256((built / "template.yaml").read_bytes())
    for tree in sorted({tree for function in shipped(built) for tree in function.trees}):
        told.update(digest(tree).encode())
    told.update(json.dumps(sorted(item for item in parameters.items() if item[0] != "Release")).encode())
    return told.hexdigest()


def fill_catalogue() -> int:
    """What was edited or removed in the stack stays so. Answers how many were written."""
    from quintet.gateway.catalogue import seeding

    return seeding.fill()


def settle_in() -> str | None:
    """Gives the stack that the environment names its administrator. Answers the password, or None: it has one."""
    from quintet.events.audit import audited
    from quintet.identity.keys import Keys
    from quintet.identity.model import login_of
    from quintet.identity.passwords import Passwords, generated
    from quintet.identity.store import keys, users
    from quintet.identity.users import Users
    from quintet.settings import settings
    from quintet.store.clock import SystemClock

    if users.by_name(login_of(ADMIN)) is not None:
        return None
    password = generated()
    people = Users(users, Keys(keys, settings().stage), Passwords(), audited)
    people.create(
        "admin@localhost", password, username=ADMIN, name="First administrator", roles=[ADMIN], actor="deploy",
        now=SystemClock().now(),
    )  # fmt: skip
    return password


def show(stack: Stack, password: str | None) -> None:
    print(f"\n{stack.name} is deployed in {stack.region}\n")
    for name in ("EdgeUrl", "Url", "SocketsUrl"):
        if name in stack.outputs:
            print(f"  {name:10} {stack.outputs[name]}")
    if password is None:
        print(f"\n  The administrator '{ADMIN}' is there already.")
        return
    print(f"\n  Log in as '{ADMIN}' with the password {password}\n  It is shown this once. Then make keys:\n")
    url = stack.parameters.get("PublicUrl") or stack.outputs["Url"]
    print(f"  curl {url}/v1/auth/login -d username={ADMIN} --data-urlencode password=...")
    print(f"  curl {url}/admin/v1/keys -H 'Authorization: Bearer ...' -H 'Content-Type: application/json' \\")
    print('    -d \'{"name":"mine","roles":["developer"]}\'')


def _deployed(sam: Sequence[str], name: str, said: Mapping[str, str], known: Mapping[str, str]) -> Stack:
    """`known` are the parameters that the stack has: SAM leaves those as they are of which nothing is said."""
    told = {**said, "Release": release_of(BUILT, {**known, **said})}
    words = [f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in told.items() if value]
    _run([sam[0], "deploy", *sam[1:], "--parameter-overrides", *words])
    return Stack.described(_cloudformation(), name)


def _present(name: str) -> Mapping[str, str]:
    """The parameters of a stack that is there."""
    try:
        return Stack.described(_cloudformation(), name).parameters
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise


def _cloudformation() -> Any:
    return botocore.session.get_session().create_client("cloudformation")


def _run(command: Sequence[str]) -> None:
    print(f"\n$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
