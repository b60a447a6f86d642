"""Outgoing webhooks: endpoints, signed deliveries, retries that last a day."""
