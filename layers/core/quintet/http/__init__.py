"""What API Gateway hands us and wants back: the app factory, the five dialects, streaming and the Lambda entries."""
