"""The admin API: keys, users and budgets, the gateway's catalogue and vault, and what it tells of itself."""

from quintet.http.app import create_app
from quintet.telemetry.lambdas import serve

from admin import (
    audit,
    budgets,
    decisions,
    events,
    health,
    keys,
    models,
    providers,
    rewards,
    routing,
    stats,
    tsdb,
    users,
    vault,
)
from quintet.identity.door import gate
from quintet.telemetry.requests import record

_GATEWAY = (budgets, vault, providers, models, routing)
_TOLD = (decisions, health, stats, audit, rewards, tsdb, events)
_ROUTERS = [each.router for each in (keys, users, *_GATEWAY, *_TOLD)]

app = create_app("admin", _ROUTERS, gate=gate(), recorder=record)
handler = serve(app)
