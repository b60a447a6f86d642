"""kyros.md's webhooks: /v1/webhooks."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from quintet.identity.door import gate
from quintet.telemetry.requests import record
from webhooks import deliveries, endpoints

app = create_app("webhooks", [endpoints.router, deliveries.router], gate=gate(), recorder=record)
handler = serve(app)
