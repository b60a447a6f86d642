"""The alerts table: all alerts in one partition, newest last by their ids, and when each type was last told of."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from quintet.alerts.model import COOLDOWN, Alert, Severity, Standing, told
from quintet.alerts.shapes import ALERT
from quintet.events.platform import platform_event
from quintet.events.store import outbox
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.tables import Table, TableName
from quintet.store.transactions import Unmet, Write, write_together

_ALL = "alerts"
_KEPT = timedelta(days=400)
_PAGE = 200


class AlertItem(Table):
    shape = ALERT

    class Meta:
        table_name = TableName("alerts")

    pk = UnicodeAttribute(hash_key=True, default=_ALL)
    id = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    severity = UnicodeAttribute()
    status = UnicodeAttribute()
    message = UnicodeAttribute()
    details = UnicodeAttribute()
    created_at = NumberAttribute()
    acknowledged_at = NumberAttribute(null=True)
    acknowledged_by = UnicodeAttribute(null=True)
    resolved_at = NumberAttribute(null=True)
    resolved_by = UnicodeAttribute(null=True)
    rev = NumberAttribute()
    expires_at = NumberAttribute()


class LastItem(Table):
    """When an alert of a type was raised last."""

    class Meta:
        table_name = TableName("alerts")

    pk = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True, default="last")
    at = NumberAttribute()


def raising(alert: Alert) -> list[Write]:
    """For a transaction of others: the alert, and the event that tells of it."""
    item = _item(alert)
    event = platform_event("system.alert", alert.id, told(alert), now=alert.created_at)
    return [lambda tx: tx.save(item, condition=AlertItem.pk.does_not_exist()), outbox(event)]


def raise_once(alert: Alert) -> bool:
    """Whether it was raised: not while one of its type was within the cooldown, however many look at once."""
    last = LastItem(f"last#{alert.type}", at=millis(alert.created_at))
    cold = LastItem.pk.does_not_exist() | (LastItem.at <= millis(alert.created_at - COOLDOWN))
    try:
        write_together([lambda tx: tx.save(last, condition=cold), *raising(alert)])
    except Unmet:
        return False
    return True


def find(alert_id: str) -> Alert | None:
    try:
        return _alert(AlertItem.get(_ALL, alert_id, consistent_read=True).attribute_values)
    except AlertItem.DoesNotExist:
        return None


def change(after: Alert, *also: Write) -> None:
    """Raises Unmet when somebody else was faster."""
    item = _item(after)
    write_together([lambda tx: tx.save(item, condition=AlertItem.rev == after.rev - 1), *also])


def page(
    limit: int, offset: int, *, status: Standing | None = None, severity: Severity | None = None
) -> tuple[list[Alert], bool]:
    """Newest first, and whether there are more."""
    condition = None
    if status is not None:
        condition = AlertItem.status == status.value
    if severity is not None:
        same = AlertItem.severity == severity.value
        condition = same if condition is None else condition & same
    items = AlertItem.query(
        _ALL, filter_condition=condition, scan_index_forward=False, page_size=_PAGE, limit=offset + limit + 1
    )
    found = [_alert(item.attribute_values) for item in items][offset:]
    return found[:limit], len(found) > limit


def _item(alert: Alert) -> AlertItem:
    def number(at: datetime | None) -> int | None:
        return None if at is None else millis(at)

    return AlertItem(
        id=alert.id,
        type=alert.type,
        severity=alert.severity.value,
        status=alert.status.value,
        message=alert.message,
        details=json.dumps(alert.details),
        created_at=millis(alert.created_at),
        acknowledged_at=number(alert.acknowledged_at),
        acknowledged_by=alert.acknowledged_by,
        resolved_at=number(alert.resolved_at),
        resolved_by=alert.resolved_by,
        rev=alert.rev,
        expires_at=epoch(alert.created_at + _KEPT),
    )


def _alert(row: Mapping[str, Any]) -> Alert:
    def moment(name: str) -> datetime | None:
        return None if row.get(name) is None else from_millis(int(row[name]))

    return Alert(
        id=row["id"],
        type=row["type"],
        severity=Severity(row["severity"]),
        message=row["message"],
        created_at=from_millis(int(row["created_at"])),
        details=json.loads(row["details"]),
        status=Standing(row["status"]),
        acknowledged_at=moment("acknowledged_at"),
        acknowledged_by=row.get("acknowledged_by"),
        resolved_at=moment("resolved_at"),
        resolved_by=row.get("resolved_by"),
        rev=int(row["rev"]),
    )
