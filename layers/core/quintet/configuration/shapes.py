"""The shape of this room's items, and how one becomes the next."""

from quintet.store.shapes import Shape

DOCUMENT = Shape("configuration")
