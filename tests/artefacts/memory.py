"""What a function needs of its machine: memory at the most, and the processor's time for a start and for an event."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.local.template import Template
from infra.shipped import Shipped
from tests.sandbox import Sandbox

PROCESSOR = 1769  # MB that bring one whole processor; less brings less of it, in proportion
_TIMES = 8


@dataclass
class Measured:
    init_ms: float
    init_mb: float
    peak_mb: float
    call_ms: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def started(cls, sandbox: Sandbox) -> "Measured":
        peak = sandbox.peak_memory() / (1 << 20)
        return cls(sandbox.cpu_seconds() * 1000, peak, peak)

    def worked(self, way: str, sandbox: Sandbox, call: Callable[[], object]) -> None:
        for _ in range(_TIMES):
            before = sandbox.cpu_seconds()
            call()
            self.call_ms.setdefault(way, []).append((sandbox.cpu_seconds() - before) * 1000)
        self.peak_mb = sandbox.peak_memory() / (1 << 20)

    @property
    def dearest_ms(self) -> float:
        """Of the ways in, the one that takes most, at its median."""
        return max((statistics.median(each) for each in self.call_ms.values()), default=0.0)


class Table:
    def __init__(self, template: Template) -> None:
        usual = template.globals["MemorySize"]
        self._sizes = {
            name: function.get("MemorySize", usual) for name, function in template.of_type("AWS::Serverless::Function")
        }
        self._rows: list[tuple[str, int, Measured]] = []

    def write(self, function: Shipped, measured: Measured) -> None:
        self._rows.append((function.name.removesuffix("Function").lower(), self._sizes[function.name], measured))

    def text(self) -> str:
        names = (
            "function",
            "start, CPU ms",
            "at rest, MB",
            "at the most, MB",
            "of its memory",
            "dearest event, CPU ms",
        )
        lines = [
            f"| {' | '.join((*names, 'at its share of a processor, ms'))} |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for name, size, one in sorted(self._rows, key=lambda row: -row[2].peak_mb):
            memory = f"{one.init_mb:.0f} | {one.peak_mb:.0f} | {one.peak_mb / size:.0%} of {size}"
            waited = one.dearest_ms / min(1.0, size / PROCESSOR)
            lines.append(f"| {name} | {one.init_ms:.0f} | {memory} | {one.dearest_ms:.1f} | {waited:.0f} |")
        return "\n".join(lines) + "\n"
