"""The models of the task tables' items."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from quintet.store.tables import Table, TableName


class PartItem(Table):
    """A part of a task: its head, its body, one of its steps, or what waits for it."""

    class Meta:
        table_name = TableName("tasks")

    id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    rev = NumberAttribute(null=True)
    told = UnicodeAttribute(null=True)  # JSON
    expires_at = NumberAttribute(null=True)


class RowItem(Table):
    """A task's, or an escalation's, place in a list."""

    class Meta:
        table_name = TableName("task-lists")

    list = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
