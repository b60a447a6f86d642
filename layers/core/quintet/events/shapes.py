"""The shape of this room's items, and how one becomes the next: what the chain is made of must stay as it is."""

from quintet.store.shapes import Shape

EVENT = Shape("event")
