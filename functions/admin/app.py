"""The admin API: keys and users."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from admin import keys, users
from quintet.identity.door import gate
from quintet.telemetry.requests import record

app = create_app("admin", [keys.router, users.router], gate=gate(), recorder=record)
handler = serve(app)
