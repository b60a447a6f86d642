"""What the README shows, as it stands there, so that it is run before it is believed."""
