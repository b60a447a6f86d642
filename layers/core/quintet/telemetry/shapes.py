"""The shapes of this room's items, and how one becomes the next. Points have none: updates alone write them."""

from quintet.store.shapes import Shape

RECORD = Shape("request's record", in_place=frozenset({"facts", "amended"}))
REWARD = Shape("reward", in_place=frozenset({"reward", "feedback"}))
RETENTION = Shape("retention of points")
