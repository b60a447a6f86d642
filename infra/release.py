"""Deploys a stack into an AWS account and makes it usable: builds, checks, deploys, then gives it somebody to be.

`make deploy` runs it, with SAM's own environment beside ours for what SAM does.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session

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
    stack = _deployed(sam, name)
    if not stack.parameters.get("PublicUrl"):
        # The API names its functions, so that its own address cannot be told to them in the first deployment.
        kept = [f"{key}={value}" for key, value in stack.parameters.items() if value and key != "PublicUrl"]
        stack = _deployed(
            sam,
            name,
            ["--parameter-overrides", *kept, f"PublicUrl={stack.outputs.get('EdgeUrl') or stack.outputs['Url']}"],
        )
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


def _deployed(sam: Sequence[str], name: str, more: Sequence[str] = ()) -> Stack:
    _run([sam[0], "deploy", *sam[1:], *more])
    return Stack.described(botocore.session.get_session().create_client("cloudformation"), name)


def _run(command: Sequence[str]) -> None:
    print(f"\n$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
