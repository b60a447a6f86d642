"""Seeds a fresh stack in a process of its own, whose environment is the functions'."""

import importlib
import json
import os
import sys

from infra.local.children import private_stdout


def main() -> None:
    replies = private_stdout()
    sys.stdin.readline()
    seed = importlib.import_module("infra.local.seed")
    replies.write(json.dumps(seed.seed(os.environ)) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
