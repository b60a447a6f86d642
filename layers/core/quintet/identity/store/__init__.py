"""The tables of this room, one file each; `registry` is what the door asks on every request."""
