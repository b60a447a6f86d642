"""What a persona can do by itself: a few things that do no harm."""
