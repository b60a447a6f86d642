"""What an owner does with endpoints: make, change, rotate their secret, remove; and what we do to those that fail."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from quintet.alerts.model import Finding, Severity, raised
from quintet.alerts.store import raising
from quintet.errors import Failure, Kind, invalid
from quintet.events.audit import audited
from quintet.http.work import offload
from quintet.identity.model import Principal
from quintet.net import guard
from quintet.net.guard import Forbidden, Unresolved
from quintet.store.ids import new_id
from quintet.store.transactions import Unmet, Write
from quintet.webhooks.delivering import rules
from quintet.webhooks.model import Endpoint, Status, acceptable, new_secret, patterns

MOST = 100  # endpoints of one owner, and of one account: names that it gives its tokens make no more of them
_ATTEMPTS = 3


class EndpointStore(Protocol):
    """`store.endpoints` over the table."""

    def add(self, endpoint: Endpoint, /, *also: Write) -> None: ...

    def change(self, after: Endpoint, /, *also: Write) -> None: ...

    def remove(self, endpoint: Endpoint, /, *also: Write) -> None: ...

    async def find(self, endpoint_id: str, /) -> Endpoint | None: ...

    async def everyone(self) -> list[Endpoint]: ...


@dataclass(frozen=True, slots=True)
class Endpoints:
    store: EndpointStore

    async def create(
        self, owner: Principal, url: str, events: list[str], secret: str | None, description: str, now: datetime
    ) -> Endpoint:
        await reachable(url)
        endpoint = Endpoint(
            id=new_id("webhook", now),
            owner=owner.owner,
            account=owner.account,
            permissions=owner.permissions,
            url=url,
            events=patterns(events),
            secret=acceptable(secret) if secret is not None else new_secret(),
            created_at=now,
            updated_at=now,
            description=description,
        )
        held = [
            each for each in await self.store.everyone() if owner.owner == each.owner or owner.account == each.account
        ]
        if len(held) >= MOST and not owner.may("admin"):
            raise Failure(Kind.REJECTED, f"You have {MOST} webhooks, which is the most: delete one first")
        told = audited("webhook.created", endpoint.id, {"events": list(endpoint.events)}, owner.id)
        await offload(self.store.add, endpoint, told)
        return endpoint

    async def of(self, owner: Principal) -> list[Endpoint]:
        """Newest first; an administrator sees everybody's."""
        return [each for each in await self.store.everyone() if owner.may("admin") or each.owner == owner.owner]

    async def get(self, owner: Principal, endpoint_id: str) -> Endpoint:
        """Another's is not found, as if there were none."""
        endpoint = await self.store.find(endpoint_id)
        if endpoint is None or not (owner.may("admin") or endpoint.owner == owner.owner):
            raise Failure(Kind.NOT_FOUND, f"There is no webhook '{endpoint_id}'")
        return endpoint

    async def change(
        self, owner: Principal, endpoint_id: str, changes: Mapping[str, Any], overlap: timedelta, now: datetime
    ) -> Endpoint:
        """`changes` has what was named of url, events, secret, description, status. Raises Failure."""
        if "url" in changes:
            await reachable(changes["url"])
        for _ in range(_ATTEMPTS):
            before = await self.get(owner, endpoint_id)
            after = _changed(before, changes, overlap, now)
            told = audited("webhook.changed", before.id, {"fields": sorted(changes)}, owner.id)
            try:
                await offload(self.store.change, after, told)
            except Unmet:
                continue
            return after
        raise Failure(Kind.CONFLICT, "This webhook is being changed by others: try again", retry_after=1)

    async def remove(self, owner: Principal, endpoint_id: str) -> Endpoint:
        for _ in range(_ATTEMPTS):
            endpoint = await self.get(owner, endpoint_id)
            try:
                await offload(self.store.remove, endpoint, audited("webhook.deleted", endpoint.id, {}, owner.id))
            except Unmet:
                continue
            return endpoint
        raise Failure(Kind.CONFLICT, "This webhook is being changed by others: try again", retry_after=1)

    async def stop(self, endpoint: Endpoint, status: Status, reason: str, now: datetime) -> None:
        """By us, with an alert to whoever watches; once, however many attempts find it so."""
        known = await self.store.find(endpoint.id)
        if known is None or known.status is not Status.ACTIVE:
            return
        after = replace(known, status=status, reason=reason, updated_at=now, version=known.version + 1)
        message = f"Webhook {known.id} was {status.value}: {reason}"
        details = {"webhook_id": known.id, "status": status.value}
        alert = raised(Finding("webhook_stopped", Severity.WARNING, message, details), now)
        told = audited("webhook.stopped", known.id, {"status": status.value, "reason": reason}, "system")
        try:
            await offload(self.store.change, after, *raising(alert), told)
        except Unmet:  # its owner has just changed it: what they said stands
            return


async def reachable(url: str) -> None:
    """Raises Failure for a URL that leads, or could lead, anywhere but to the internet.

    A name that nobody can resolve now is let through: it is resolved, and checked, at every attempt.
    """
    try:
        await guard.resolve(url, rules())
    except Forbidden as refused:
        raise invalid("url", str(refused).capitalize()) from None
    except Unresolved:
        return


def _changed(before: Endpoint, changes: Mapping[str, Any], overlap: timedelta, now: datetime) -> Endpoint:
    after = replace(before, updated_at=now, version=before.version + 1)
    if "url" in changes:
        after = replace(after, url=changes["url"])
    if "events" in changes:
        after = replace(after, events=patterns(changes["events"]))
    if "description" in changes:
        after = replace(after, description=changes["description"])
    if "status" in changes:
        after = replace(after, status=Status(changes["status"]), reason="")
    if "secret" in changes:
        after = replace(
            after,
            secret=acceptable(changes["secret"]),
            previous_secret=before.secret if overlap else "",
            previous_until=now + overlap if overlap else None,
        )
    return after
