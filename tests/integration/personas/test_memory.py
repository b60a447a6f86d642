"""A long conversation is summed up by the deployed inbox, in its own role, while the caller talks on."""

from quintet.http.entry import kept_loop
from quintet.personas.history import turns
from quintet.personas.model import KEPT_TURNS, Session, session_key
from quintet.personas.store import conversations
from tests.integration.personas.conftest import Caller
from tests.processes import eventually


def test_old_turns_are_folded_into_a_summary(caller: Caller, phone: str) -> None:
    for number in range(KEPT_TURNS + 1):
        body = {"messages": [{"role": "user", "content": f"question {number}"}]}
        assert caller("POST", "/chat/completions", headers={"X-Vapi-Caller-Phone": phone}, json=body).status == 200

    def folded() -> Session | None:
        session = kept_loop().run_until_complete(conversations.get(session_key("", phone, "tony")))
        return session if session and session.summary else None

    session = eventually(folded)
    assert "question" in session.summary
    assert len(turns(session.messages)) < KEPT_TURNS
    assert session.turns == KEPT_TURNS + 1
