"""Ten thousand events to fifty endpoints, half of them ill: `python -m tests.bench.webhooks [EVENTS]`."""

import asyncio
import os
import sys

os.environ["WEBHOOK_LOCAL_RECEIVERS"] = "true"

from quintet.webhooks import delivering
from tests.fakes.storm import HEALTHY, ILL, SPEED, storm


def main(events: int) -> None:
    delivering.SECONDS = 15 / SPEED
    healthy, stormy = asyncio.run(storm(events, ill=False)), asyncio.run(storm(events, ill=True))
    for name, weather in (("healthy only", healthy), ("with the ill", stormy)):
        print(
            f"{name}: {weather.count(HEALTHY)} healthy, {weather.count(*ILL)} ill, {weather.due} deliveries to the "
            f"healthy, {weather.missing()} missing, {weather.seconds:.1f} s, {len(weather.untold())} untold"
        )
    print(f"ratio {stormy.seconds / healthy.seconds:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
