"""The emulator, which notes whom it was asked to let do what, and whether it did."""

import json
import os
import time
from pathlib import Path
from typing import Any

from infra.local import ministack, patches
from tests.roles import DECISIONS, ROLES


def noting(mend: Any, folder: Path) -> Any:
    def apply() -> None:
        mend()
        from ministack.core import iam_evaluator

        notes = (folder / DECISIONS).open("a", buffering=1)
        evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce
        seen: list[Any] = []

        def seeing(ctx: Any, *policies: Any) -> Any:
            seen.append(ctx)
            return evaluate(ctx, *policies)

        def noted(*request: Any, **more: Any) -> Any:
            seen.clear()
            refusal = enforce(*request, **more)
            for ctx in seen[:1]:
                role = ctx.principal_arn.split("/")[-2] if ":assumed-role/" in ctx.principal_arn else ctx.principal_arn
                said = [time.time(), role, ctx.action, ctx.resource_arn, refusal is None]
                print(json.dumps(said), file=notes)
            return refusal

        iam_evaluator.evaluate, iam_evaluator.enforce = seeing, noted

    return apply


if __name__ == "__main__":
    patches.apply = noting(patches.apply, Path(os.environ.pop(ROLES)))
    ministack.main()
