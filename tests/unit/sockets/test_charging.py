"""What API Gateway charges for a WebSocket is counted as it does."""

import time

import pytest

from quintet.store.meter import metered
from sockets.charging import charge
from tests.sockets import connecting, leaving, saying


@pytest.mark.parametrize(("size", "pieces"), [(0, 1), (1, 1), (32 << 10, 1), ((32 << 10) + 1, 2), (100 << 10, 4)])
def test_a_message_is_charged_for_by_pieces_of_32_kb(size: int, pieces: int) -> None:
    with metered() as meter:
        charge(saying("x" * size))
    assert meter.used == {"websocket_message": pieces}


def test_a_connection_is_charged_for_by_its_minutes_once_it_is_over() -> None:
    event = leaving()
    event["requestContext"]["connectedAt"] = (time.time() - 600) * 1000
    with metered() as meter:
        charge(connecting("toron"))
        charge(event)
    assert meter.used["websocket_minute"] == pytest.approx(10, abs=0.1)
