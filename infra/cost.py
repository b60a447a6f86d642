"""What Quintet costs in an AWS account: an idle month, a million requests, and when a container would be cheaper.

Prices and their date are those that requests are metered with; `units.json` is measured, and held to by tests.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.template import Template
from quintet.telemetry.platform import Units, prices

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = 378.0  # USD a month: what AWS's guidance for a gateway on containers names
_MILLION = 1_000_000
_FIXED = {
    "AWS::KMS::Key": "kms_key",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
}


def idle_month(template: Template) -> dict[str, float]:
    """What is charged for by its being there, in USD, without free tiers. What lies in tables and logs comes beside."""
    month = prices()["month"]
    found = dict.fromkeys(_FIXED.values(), 0.0)
    for part in (template, *template.nested.values()):
        for kind, price in _FIXED.items():
            found[price] += month[price] * sum(1 for _ in part.of_type(kind))
    return found


def of_a_million(kind: Mapping[str, Any], milliseconds: float) -> float:
    """USD, what models cost aside."""
    gb_seconds = kind["memory_mb"] / 1024 * milliseconds / 1000
    return Units(gb_seconds, kind["reads"], kind["writes"]).nano_usd * _MILLION / 1_000_000_000


def main() -> None:
    kinds: dict[str, dict[str, Any]] = json.loads((ROOT / "infra/units.json").read_text())
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    for name, kind in kinds.items():
        parser.add_argument(f"--{name.replace('_', '-')}-ms", type=float, default=kind["milliseconds"])
    parser.add_argument("--container", type=float, default=CONTAINER, help="USD a month")
    asked = vars(parser.parse_args())
    month = idle_month(Template(ROOT / "template.yaml"))
    idle = sum(month.values())
    print(f"Prices of {prices()['region']}, {prices()['as_of']}: {prices()['source']}.\n")
    print(f"An idle month: {idle:.2f} USD")
    for name, usd in month.items():
        print(f"  {name.replace('_', ' ') + 's':<12} {usd:8.2f}")
    print("  beside: the schedules' own runs, logs, what lies in the tables, and metrics of what was used.\n")
    print("A million requests, models aside (units measured; the duration is yours to say):")
    for name, kind in kinds.items():
        milliseconds = asked[f"{name}_ms"]
        usd = of_a_million(kind, milliseconds)
        least = max(0.0, asked["container"] - idle) / usd
        print(f"  {kind['what']}: {usd:.2f} USD")
        print(
            f"    {kind['reads']} read and {kind['writes']} write units, {milliseconds:g} ms at {kind['memory_mb']} MB"
        )
        print(f"    a container of {asked['container']:g} USD a month is cheaper above {least:.0f} million a month")


if __name__ == "__main__":
    main()
