"""The Prometheus text format, version 0.0.4: what a scrape of the whole system answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from quintet.telemetry.histogram import at_most
from quintet.telemetry.series import Amounts, classes

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Seconds; each is the limit of a class, so that the counts are exact.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 100, 300)

Labels = Mapping[str, str]


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    suffix: str
    labels: Labels
    value: float


@dataclass(slots=True)
class Metric:
    """One metric of the exposition; without samples it is left out."""

    name: str
    kind: Kind
    tells: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        self.samples.append(Sample("", labels, value))

    def observed(self, amounts: Amounts, duration: str, **labels: str) -> None:
        """A histogram of stored classes; nothing where nothing was observed."""
        counts = classes(amounts, duration)
        number = sum(counts.values())
        if not number:
            return
        for bound in BOUNDS:
            within = at_most(counts, round(bound * 1_000_000))
            self.samples.append(Sample("_bucket", {**labels, "le": _number(bound)}, within))
        self.samples.append(Sample("_bucket", {**labels, "le": "+Inf"}, number))
        self.samples.append(Sample("_sum", labels, amounts.get(duration, 0) / 1_000_000))
        self.samples.append(Sample("_count", labels, number))


def counter(name: str, tells: str) -> Metric:
    return Metric(name, Kind.COUNTER, tells)


def gauge(name: str, tells: str) -> Metric:
    return Metric(name, Kind.GAUGE, tells)


def histogram(name: str, tells: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, tells)


def render(metrics: Iterable[Metric]) -> str:
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            lines.append(f"# HELP {metric.name} {_escaped(metric.tells, quotes=False)}")
            lines.append(f"# TYPE {metric.name} {metric.kind.value}")
            lines += [
                f"{metric.name}{each.suffix}{_labels(each.labels)} {_number(each.value)}" for each in metric.samples
            ]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
