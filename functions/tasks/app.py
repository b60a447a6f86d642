"""The task platform: tasks, agents, models and escalations."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from quintet.identity.door import gate
from quintet.telemetry.requests import record
from tasks import routes

app = create_app("tasks", [routes.router], gate=gate(), recorder=record)
handler = serve(app)
