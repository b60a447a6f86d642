"""The models of the task tables' items."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from quintet.store.tables import Table, TableName
from quintet.tasks.shapes import BODY, ESCALATION, HEAD, STEP


class PartItem(Table):
    """A part of a task. What only points, promises or counts is one of these; what tells something has a shape."""

    class Meta:
        table_name = TableName("tasks")

    id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    rev = NumberAttribute(null=True)
    told = UnicodeAttribute(null=True)  # JSON
    expires_at = NumberAttribute(null=True)


class HeadItem(PartItem):
    shape = HEAD


class BodyItem(PartItem):
    shape = BODY


class StepItem(PartItem):
    shape = STEP


class EscalationItem(PartItem):
    shape = ESCALATION


class RowItem(Table):
    """A task's, or an escalation's, place in a list, and what an entry tells."""

    class Meta:
        table_name = TableName("task-lists")

    list = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    told = UnicodeAttribute(null=True)  # JSON
