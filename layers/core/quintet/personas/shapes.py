"""The shapes of this room's items, and how one becomes the next. Marks, and who is on which call, have none."""

from quintet.store.shapes import Shape

SESSION = Shape(
    "conversation", in_place=frozenset({"turn", "turn_until", "process_id", "active_until", "alive", "expires_at"})
)
PROCESS = Shape(
    "process",
    in_place=frozenset(
        {
            "active_until",
            "alive",
            "expires_at",
            "status",
            "ended_at",
            "input_tokens",
            "output_tokens",
            "llm_calls",
            "tool_calls",
            "cost",
        }
    ),
)
NOTE = Shape("note")
GOALS = Shape("persona's goals")
POST = Shape("post")
