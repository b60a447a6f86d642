"""Budgets: /admin/v1/budgets."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.access import Admin
from quintet.errors import invalid
from quintet.gateway.ledger.live import control
from quintet.gateway.ledger.model import Budget, Scope, State, Window
from quintet.gateway.model import NANO
from quintet.http.answers import Json
from quintet.http.cursors import cursor_of, place_of
from quintet.http.exchange import exchange_of
from quintet.store.clock import from_millis, iso
from quintet.store.pages import Paging

router = APIRouter(prefix="/admin/v1/budgets")

_MOST_USD = 1_000_000_000

Dollars = Annotated[float, Field(strict=True, ge=0, le=_MOST_USD, allow_inf_nan=False)]
NanoDollars = Annotated[int, Field(strict=True, ge=0, le=_MOST_USD * NANO)]
Subject = Annotated[str, Field(min_length=1, max_length=255)]


class Cap(BaseModel):
    """One of the two."""

    model_config = ConfigDict(extra="forbid")

    cap_usd: Dollars | None = None
    cap_nano_usd: NanoDollars | None = None

    def nano(self) -> int:
        if (self.cap_usd is None) == (self.cap_nano_usd is None):
            raise invalid("cap_usd", "Give the cap either as cap_usd or as cap_nano_usd")
        return self.cap_nano_usd or round(Decimal(repr(self.cap_usd or 0)) * NANO)


class Order(Cap):
    """`subject` is the id of the principal, key, provider, model, task or session; the system needs none."""

    scope: Scope
    subject: Subject | None = None
    window: Window


@router.post("")
async def put(order: Order, request: Request, admin: Admin) -> Json:
    """Sets the cap of the one budget there is of this scope, subject and window: 201 if it is new."""
    _check(order)
    now = exchange_of(request).at
    budget, new = await control().put(order.scope, order.subject, order.window, order.nano(), actor=admin.id, now=now)
    return Json(await _state(budget, request), status_code=201 if new else 200)


@router.get("")
async def listed(
    request: Request,
    _admin: Admin,
    scope: Scope | None = None,
    subject: Subject | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
) -> Json:
    """By scope, subject and window."""
    if subject is not None and scope is None:
        raise invalid("subject", "Goes with a scope")
    if scope is not None and subject is not None:
        found = [budget for window in Window if (budget := await control().of(scope, subject, window))]
        budgets, after = found[offset : offset + limit], None
    else:
        page = await control().page(Paging(limit, offset, place_of(cursor)), scope)
        budgets, after = list(page.items), page.after
    states = await control().states(budgets, exchange_of(request).at)
    return Json({"budgets": [shown(state) for state in states], "next_cursor": cursor_of(after)})


@router.get("/{budget_id}")
async def one(budget_id: str, request: Request, _admin: Admin) -> Json:
    return Json(await _state(await control().get(budget_id), request))


@router.patch("/{budget_id}")
async def change(budget_id: str, cap: Cap, request: Request, admin: Admin) -> Json:
    """It holds from the next call on, for what was spent before too."""
    budget = await control().change(budget_id, cap.nano(), actor=admin.id, now=exchange_of(request).at)
    return Json(await _state(budget, request))


@router.delete("/{budget_id}")
async def remove(budget_id: str, admin: Admin) -> Json:
    budget = await control().remove(budget_id, actor=admin.id)
    return Json({"id": budget.id, "removed": True})


async def _state(budget: Budget, request: Request) -> dict[str, Any]:
    (state,) = await control().states([budget], exchange_of(request).at)
    return shown(state)


def shown(state: State) -> dict[str, Any]:
    budget = state.budget
    amounts = {
        "cap": budget.cap,
        "spent": state.spent,
        "reserved": state.reserved,
        "remaining": state.remaining,
    }
    return {
        "id": budget.id,
        "scope": budget.scope.value,
        "subject": budget.subject,
        "window": budget.window.value,
        **{f"{name}_usd": nano / NANO for name, nano in amounts.items()},
        **{f"{name}_nano_usd": nano for name, nano in amounts.items()},
        "resets_at": iso(state.resets_at) if state.resets_at else None,
        "created_at": iso(from_millis(budget.since)),
        "updated_at": iso(from_millis(budget.updated_at)),
        "updated_by": budget.updated_by,
    }


def _check(order: Order) -> None:
    if order.scope is Scope.SYSTEM and order.subject not in (None, "*"):
        raise invalid("subject", "The system's budget has none")
    if order.scope is not Scope.SYSTEM and order.subject is None:
        raise invalid("subject", f"Name the {order.scope} that the budget is for")
