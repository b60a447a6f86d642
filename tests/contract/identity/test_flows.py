"""The flows table: a sign-in is taken once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from quintet.identity.oauth.model import Flow
from quintet.store.ids import new_id
from tests.contract.identity.conftest import Stores


def away(stores: Stores, now: datetime) -> Flow:
    flow = Flow(new_id("flow", now), "google", "browser", now + timedelta(minutes=10), "nonce", "verifier")
    stores.flows.add(flow)
    return flow


def test_what_was_added_is_taken_once(stores: Stores, now: datetime) -> None:
    flow = away(stores, now)
    assert stores.flows.take(flow.id) == flow
    assert stores.flows.take(flow.id) is None


def test_of_many_who_ask_for_it_one_gets_it(stores: Stores, now: datetime) -> None:
    flow = away(stores, now)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: stores.flows.take(flow.id), range(8)))
    assert got.count(flow) == 1
    assert got.count(None) == 7
