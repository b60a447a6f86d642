"""ElevenLabs: our words for its voice, over HTTP and over WebSockets, in both of the roles that its clients know."""
