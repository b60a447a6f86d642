"""The flows table: sign-ins that are at their provider, for ten minutes, to be taken once."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError

from quintet.identity.oauth.model import Flow
from quintet.store.clock import epoch, from_millis, millis
from quintet.store.tables import Table, TableName


class FlowItem(Table):
    class Meta:
        table_name = TableName("flows")

    id = UnicodeAttribute(hash_key=True)
    provider = UnicodeAttribute()
    browser = UnicodeAttribute()
    nonce = UnicodeAttribute()
    verifier = UnicodeAttribute()
    valid_until = NumberAttribute()
    expires_at = NumberAttribute()


def add(flow: Flow) -> None:
    FlowItem(
        flow.id,
        provider=flow.provider,
        browser=flow.browser,
        nonce=flow.nonce,
        verifier=flow.verifier,
        valid_until=millis(flow.expires_at),
        expires_at=epoch(flow.expires_at),
    ).save(condition=FlowItem.id.does_not_exist())


def take(flow_id: str) -> Flow | None:
    """Of two that ask for the same flow, one gets it."""
    try:
        item = FlowItem.get(flow_id, consistent_read=True)
        item.delete(condition=FlowItem.id.exists())
    except FlowItem.DoesNotExist:
        return None
    except DeleteError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return None
        raise
    return Flow(
        id=item.id,
        provider=item.provider,
        browser=item.browser,
        expires_at=from_millis(int(item.valid_until)),
        nonce=item.nonce,
        verifier=item.verifier,
    )
