"""Prompts: toron.md's /api/v1."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from ask import keys, prompts, system
from quintet.identity.door import gate
from quintet.telemetry.requests import record

app = create_app("ask", [prompts.router, keys.router, system.router], gate=gate(), recorder=record)
handler = serve(app, later=["quintet.ask.envelope.kms", "quintet.gateway.vault.live"])
