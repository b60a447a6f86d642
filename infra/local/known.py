"""What everybody knows of a local run."""

STATIC_TOKEN = "cyborg-secret-v2"  # noqa: S105 - the documents' own
