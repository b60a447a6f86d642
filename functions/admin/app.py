"""The admin API: keys, users, and what the gateway tells of itself."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from admin import audit, keys, rewards, stats, tsdb, users
from quintet.identity.door import gate
from quintet.telemetry.requests import record

_ROUTERS = [each.router for each in (keys, users, stats, audit, rewards, tsdb)]

app = create_app("admin", _ROUTERS, gate=gate(), recorder=record)
handler = serve(app)
