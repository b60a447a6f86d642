"""Which model a piece of work deserves, by rules, pure: what it touches and says is weighed, and reasons are kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

_SECURITY = (
    "security authentication authorization authenticate authorize oauth oauth2 saml jwt encryption encrypt decrypt "
    "cryptography credential credentials password passwords vulnerability permissions secret secrets sso mfa"
)
_ARCHITECTURE = (
    "architecture microservice microservices distributed scalability migration refactor redesign infrastructure "
    "framework integration orchestration"
)
_COMPLEXITY = "complex complicated intricate concurrency concurrent asynchronous multithreaded transaction transactions"
_ALGORITHM = "algorithm algorithms optimization optimize heuristic graph dynamic-programming complexity recursion"
_SENSITIVE_NAMES = re.compile(r"(auth|oauth|saml|jwt|security|crypt|password|credential|secret|payment|billing|token)")
_RISKY_PATHS = re.compile(r"(^|/)(security|auth|payments?|billing|migrations?|infra|infrastructure|core|admin)/")
_FEW_FILES = 3


class Weight(StrEnum):
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Kind(StrEnum):
    SECURITY = "security"
    COMPLEXITY = "complexity"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    kind: Kind
    weight: Weight
    confidence: float


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of the work."""

    text: str
    files: Sequence[str] = ()
    file_count: int = 0
    service_count: int = 0
    security_sensitive: bool = False
    business_critical: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    triggers: tuple[Trigger, ...]

    @property
    def escalate(self) -> bool:
        weights = [trigger.weight for trigger in self.triggers]
        if Weight.CRITICAL in weights:
            return True
        if Weight.HIGH in weights and self._mean >= 0.7:
            return True
        return weights.count(Weight.MEDIUM) >= 2 and self._mean > 0.6

    @property
    def confidence(self) -> float:
        """How sure the choice is, whichever it is."""
        return round(self._mean, 2) if self.triggers else 0.9

    @property
    def security(self) -> float:
        return self._most(Kind.SECURITY)

    @property
    def complexity(self) -> float:
        return self._most(Kind.COMPLEXITY)

    @property
    def business(self) -> float:
        return self._most(Kind.BUSINESS)

    @property
    def business_impact(self) -> str:
        if self.business >= 0.8 or any(trigger.weight is Weight.CRITICAL for trigger in self.triggers):
            return "high"
        return "medium" if self.triggers else "low"

    @property
    def _mean(self) -> float:
        return sum(trigger.confidence for trigger in self.triggers) / len(self.triggers) if self.triggers else 0.0

    def _most(self, kind: Kind) -> float:
        return max((trigger.confidence for trigger in self.triggers if trigger.kind is kind), default=0.0)


def judge(request: Request) -> Verdict:
    words = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", request.text.lower()))
    files = [file.lower() for file in request.files]
    count = max(request.file_count, len(files))
    found: list[Trigger] = []

    def weigh(name: str, kind: Kind, weight: Weight, confidence: float, holds: object) -> None:
        if holds:
            found.append(Trigger(name, kind, weight, round(confidence, 2)))

    security, architecture = _said(words, _SECURITY), _said(words, _ARCHITECTURE)
    weigh("security_words", Kind.SECURITY, Weight.CRITICAL, 0.9, security or request.security_sensitive)
    names = [file for file in files if _SENSITIVE_NAMES.search(PurePosixPath(file).name)]
    weigh("sensitive_files", Kind.SECURITY, Weight.HIGH, 0.85, names)
    weigh("risky_paths", Kind.SECURITY, Weight.HIGH, 0.8, [file for file in files if _RISKY_PATHS.search(file)])
    weigh("architecture_words", Kind.COMPLEXITY, Weight.MEDIUM, 0.7, len(architecture) >= 2)
    weigh("many_files", Kind.COMPLEXITY, Weight.MEDIUM, min(0.5 + 0.1 * count, 0.9), count > _FEW_FILES)
    weigh("several_services", Kind.COMPLEXITY, Weight.HIGH, 0.8, request.service_count >= 2)
    weigh("complexity_words", Kind.COMPLEXITY, Weight.MEDIUM, 0.6, _said(words, _COMPLEXITY))
    weigh("algorithm_words", Kind.COMPLEXITY, Weight.MEDIUM, 0.7, _said(words, _ALGORITHM))
    weigh("business_critical", Kind.BUSINESS, Weight.HIGH, 0.8, request.business_critical)
    return Verdict(tuple(found))


def _said(words: set[str], known: str) -> set[str]:
    return words & set(known.split())
