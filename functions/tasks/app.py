"""The task platform: tasks, agents, models and escalations."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from quintet.identity.door import gate
from quintet.telemetry.requests import record
from tasks import agents, escalations, models, routes

_routers = [routes.router, agents.router, models.router, escalations.router]
app = create_app("tasks", _routers, gate=gate(), recorder=record)
handler = serve(app, later=["quintet.gateway.vault.live"])
