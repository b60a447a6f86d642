"""The shapes of this room's items, and how one becomes the next. Places in lists and counts have none."""

from quintet.store.shapes import Shape

HEAD = Shape("task")
BODY = Shape("task's description")
STEP = Shape("task's step")
ESCALATION = Shape("escalation")
