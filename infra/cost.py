"""What Quintet costs in an AWS account: an idle month, a million of each request, and when a container is cheaper.

Prices and their date are those that requests are metered with; `units.json` is measured, and held to by tests.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.template import FUNCTION, Template
from quintet.telemetry.platform import TIME, nano_usd, prices

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = 378.0  # USD a month: what AWS's guidance for a gateway on containers names
MODEL_SECONDS = 1.0  # that a model takes, which a function waits for
MINUTES = 730 * 60  # of a month
_MILLION = 1_000_000
_NANO = 1_000_000_000
_FIXED = {
    "AWS::KMS::Key": "kms_key",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
}
WATCHING = ("alarm", "dashboard")  # what Watched=false leaves out
POLLING = "queues"
_RECEIVES = 15  # a minute: Lambda looks into an empty queue with five requests at once, which wait 20 s each
_TICK = "tick_"
_RATE = re.compile(r"rate\((\d+) (minute|hour)s?\)")
_MINUTES = {"minute": 1, "hour": 60}


def there(template: Template) -> Counter[str]:
    """What is charged for by its being there."""
    found: Counter[str] = Counter(dict.fromkeys(_FIXED.values(), 0))
    for part in (template, *template.nested.values()):
        for kind, price in _FIXED.items():
            found[price] += sum(1 for _ in part.of_type(kind))
    return found


def fixed(number: Mapping[str, int], *, free: bool) -> dict[str, float]:
    """USD a month. `free`: where nothing else in the account uses what CloudWatch gives to everybody for ever."""
    known = prices()
    spared = known["always_free"] if free else {}
    return {name: known["month"][name] * max(0, each - spared.get(name, 0)) for name, each in number.items()}


def ticks(template: Template) -> dict[str, float]:
    """How often a month each function's schedule sets it to work."""
    found = {}
    for _, function in template.of_type("AWS::Serverless::Function"):
        for event in function.get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                rate = _RATE.fullmatch(event["Properties"]["ScheduleExpression"])
                assert rate, event
                name = function["Handler"].partition(".")[0]
                found[name] = MINUTES / (int(rate[1]) * _MINUTES[rate[2]])
    return found


def running(template: Template, kinds: Mapping[str, Any]) -> dict[str, float]:
    """USD a month for looking whether there is anything to do, while there is not."""
    found = {
        name: number * usd(kinds[f"{_TICK}{name}"], template, model_seconds=0)
        for name, number in ticks(template).items()
    }
    queues = sum(
        event["Type"] == "SQS"
        for _, function in template.of_type("AWS::Serverless::Function")
        for event in function.get("Events", {}).values()
    )
    return found | {POLLING: queues * _RECEIVES * MINUTES * prices()["request"]["sqs_request"]}


def optional(template: Template) -> dict[str, int]:
    """How much of what is charged for by its being there depends on each parameter that is true or false."""
    found: Counter[str] = Counter()
    for part in (template, *template.nested.values()):
        named = {
            name: test["Fn::Equals"][0]["Ref"]
            for name, test in part.document.get("Conditions", {}).items()
            if "Ref" in test.get("Fn::Equals", [{}])[0]
        }
        for resource in part.resources.values():
            if resource["Type"] in _FIXED and "Condition" in resource:
                found[named[resource["Condition"]]] += 1
    return dict(found)


def usd(kind: Mapping[str, Any], template: Template, *, model_seconds: float) -> float:
    """Of one, what models cost aside."""
    total: Counter[str] = Counter()
    for units in kind["used"].values():
        total.update(units)
    for function, calls in kind["model_calls"].items():
        total[TIME] += calls * model_seconds * memory(template, function) / 1024
    return nano_usd(total) / _NANO


def memory(template: Template, function: str) -> int:
    """MB, by the function's folder."""
    for _, properties in template.of_type("AWS::Serverless::Function"):
        if properties["Handler"].partition(".")[0] == function:
            return int(properties.get("MemorySize", template.globals["MemorySize"]))
    raise KeyError(function)


def snapshots(template: Template) -> tuple[float, float]:
    """With `SnapStart`, in USD: a month of keeping them, and a million cold starts, each function's in turn."""
    usual = template.globals["MemorySize"]
    sizes = [each.get("MemorySize", usual) / 1024 for _, each in template.of_type(FUNCTION) if "SnapStart" in each]
    price = prices()["snapshot"]
    month = sum(sizes) * MINUTES * 60 * price["cached_gb_second"]
    return month, sum(sizes) / len(sizes) * price["restored_gb"] * _MILLION


def main() -> None:
    told = json.loads((ROOT / "infra/units.json").read_text())
    kinds: dict[str, dict[str, Any]] = told["kinds"]
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    parser.add_argument("--model-seconds", type=float, default=MODEL_SECONDS, help="that one model call takes")
    parser.add_argument("--container", type=float, default=CONTAINER, help="USD a month")
    asked = parser.parse_args()
    template = Template(ROOT / "template.yaml")
    number = there(template)
    print(f"Prices of {prices()['region']}, {prices()['as_of']}: {prices()['source']}.")
    print(f"Units measured on {told['measured']} in the emulator.\n")
    looking = running(template, kinds)
    month = fixed(number, free=False)
    idle = sum(month.values()) + sum(looking.values())
    print(f"An idle month: {idle:.2f} USD")
    for name, each in month.items():
        print(f"  {number[name]:>3} {name.replace('_', ' ') + 's':<16} {each:6.2f}")
    for name, each in looking.items():
        print(f"      {name + (' looked into' if name == POLLING else ' on schedule'):<20} {each:6.2f}")
    watching = sum(month[name] for name in WATCHING)
    sealing = optional(template)["Sealing"] * prices()["month"]["kms_key"]
    print(f"  with Watched=false, without alarms and dashboards: {idle - watching:.2f} USD")
    print(f"  with Sealing=false as well, without keys for sealed prompts: {idle - watching - sealing:.2f} USD")
    spared = sum(month.values()) - sum(fixed(number, free=True).values())
    print(f"  where nothing else uses CloudWatch's always free alarms and dashboards: {idle - spared:.2f} USD")
    kept, woken = snapshots(template)
    print(f"  with SnapStart=true: {idle + kept:.2f} USD, and {woken:.0f} USD for a million starts from a snapshot")
    print(
        "  beside: what lies in tables, logs, backups; a key that rotates adds 1 USD after its first and second year.\n"
    )
    print(f"A million of each, models aside; a model takes {asked.model_seconds:g} s, for which a function waits:")
    for name, kind in kinds.items():
        if name.startswith(_TICK):
            continue
        one = usd(kind, template, model_seconds=asked.model_seconds)
        least = max(0.0, asked.container - idle) / one / _MILLION
        print(f"  {kind['what']:<48} {one * _MILLION:9.2f} USD; cheaper than a container below {least:7.2f} million")
    print(f"  (a container of {asked.container:g} USD a month, against this stack idle and so many of one kind)")


if __name__ == "__main__":
    main()
