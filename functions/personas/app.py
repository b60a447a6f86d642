"""Personas: tron.md's chat completions, integrations and control panel."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from personas import chat, control, models
from quintet.identity.door import gate
from quintet.telemetry.requests import record

app = create_app("personas", [chat.router, models.router, control.router], gate=gate(), recorder=record)
handler = serve(app)
