"""What personas do when nobody calls."""
