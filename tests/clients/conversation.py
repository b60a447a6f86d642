"""ElevenLabs' Conversation holds a text conversation with a server of ours; what it heard, as JSON.

The server is named by its socket, or by its base URL and a key: then the package asks it for a signed URL.
"""

import json
import sys
import threading
import time

from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import Conversation, OnPremInitiationData

_PATIENCE = 60.0


def main(url: str, key: str, *questions: str) -> None:
    heard: list[str] = []
    news = threading.Event()

    def answered(text: str) -> None:
        heard.append(text)
        news.set()

    signed = url.startswith("http")
    conversation = Conversation(
        ElevenLabs(api_key=key or "unused", base_url=url if signed else "http://127.0.0.1:1"),
        "tony",
        requires_auth=signed and key != "",
        callback_agent_response=answered,
        on_prem_config=None if signed else OnPremInitiationData(on_prem_conversation_url=url),
    )
    conversation.start_session()
    until = time.monotonic() + _PATIENCE
    while getattr(conversation, "_conversation_id", None) is None and time.monotonic() < until:
        time.sleep(0.02)
    for question in questions:
        news.clear()
        conversation.send_user_message(question)
        if not news.wait(_PATIENCE):
            break
    conversation.end_session()
    told = {"id": conversation.wait_for_session_end(), "heard": heard}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
