"""Work that goes on when its invocation is answered: our own runtime does it before it asks for the next one.

Lambda hands an answer on as soon as it is posted, and freezes the process only while it waits for another event. Until
then the invocation's time limit counts.
"""

import logging
from collections.abc import Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]

log = logging.getLogger("quintet.runtime")


class Afterwards:
    """`offered` by the runtime that sees to it; where it is not, work is done before the answer."""

    def __init__(self) -> None:
        self.offered = False
        self._left: list[Work] = []

    async def leave(self, work: Work) -> None:
        if self.offered:
            self._left.append(work)
        else:
            await work

    async def finish(self) -> None:
        """Nobody hears of what fails any more: it is logged."""
        while self._left:
            try:
                await self._left.pop(0)
            except Exception:
                log.exception("work that was left for after the answer failed")

    def forget(self) -> None:
        """The invocation failed: whoever called may try again."""
        while self._left:
            self._left.pop().close()


afterwards = Afterwards()
