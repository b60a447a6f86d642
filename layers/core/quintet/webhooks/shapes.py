"""The shapes of this room's items, and how one becomes the next."""

from quintet.store.shapes import Shape

ENDPOINT = Shape("webhook")
DELIVERY = Shape(
    "delivery",
    in_place=frozenset({"standing", "tried", "attempts", "asked_at", "next_at", "leased_until", "due"}),
)
