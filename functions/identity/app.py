"""Tokens and logins: cyborgmind.md's /auth/token, kyros.md's /v1/auth/*."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from identity import login, oauth, tokens
from identity.services import door
from quintet.telemetry.requests import record

app = create_app("identity", [tokens.router, login.router, oauth.router], gate=door, recorder=record)
handler = serve(app)
