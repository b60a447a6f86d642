"""Personas: tron.md's chat completions, integrations and control panel."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from personas import chat, control, convai, elevenlabs, internal, models, slack, vapi
from quintet.identity.door import gate
from quintet.telemetry.requests import record

_ROUTERS = [
    chat.router,
    models.router,
    control.router,
    vapi.router,
    slack.router,
    elevenlabs.router,
    convai.router,
    internal.router,
]

app = create_app("personas", _ROUTERS, gate=gate(), recorder=record)
handler = serve(app, later=["quintet.gateway.vault.live"])
