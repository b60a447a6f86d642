"""The model broker: /v1/chat and /v1/plan."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from broker import chat, plan
from quintet.identity.door import gate
from quintet.telemetry.requests import record

app = create_app("broker", [chat.router, plan.router], gate=gate(), recorder=record)
handler = serve(app, later=["quintet.gateway.providers.samples", "quintet.gateway.vault.live"])
