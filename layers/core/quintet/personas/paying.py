"""Who pays for what nobody's credentials ask for: Slack, VAPI and the personas' own life have accounts of their own."""

from quintet.gateway.model import Payer


def house_payer(name: str, session: str | None = None) -> Payer:
    """Budgets may bound the principal `persona-<name>`."""
    principal = f"persona-{name}"
    return Payer(principal=principal, account=f"user#{principal}", session=session)
