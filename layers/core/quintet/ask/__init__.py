"""Prompts as toron.md has them: answered whole or as a stream, by one model or by several, in the open or sealed."""
