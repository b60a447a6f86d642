"""The shapes of this room's items, and how one becomes the next. Purses have none: updates alone write them."""

from quintet.store.shapes import Shape

CATALOGUE = Shape("catalogue's entry")
BUDGET = Shape("budget", in_place=frozenset({"cap", "since", "shards", "updated_at", "updated_by", "told"}))
VAULT = Shape("vault's head", in_place=frozenset({"rev", "edits"}))
SECRET = Shape("provider's secret")
