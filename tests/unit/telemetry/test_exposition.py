from quintet.telemetry.exposition import BOUNDS, counter, gauge, histogram, render
from quintet.telemetry.histogram import LIMITS, class_of


def observed(*micros: int) -> dict[str, int]:
    amounts = {"latency": sum(micros)}
    for each in micros:
        name = f"latency.{class_of(each)}"
        amounts[name] = amounts.get(name, 0) + 1
    return amounts


def test_counters_are_told_with_their_labels() -> None:
    metric = counter("request_count_total", "Total requests by endpoint")
    metric.add(1234, endpoint="/step", status="success")
    assert render([metric]) == (
        "# HELP request_count_total Total requests by endpoint\n"
        "# TYPE request_count_total counter\n"
        'request_count_total{endpoint="/step",status="success"} 1234\n'
    )


def test_a_metric_without_samples_is_left_out() -> None:
    assert render([gauge("nothing", "at all")]) == ""


def test_labels_cannot_break_out() -> None:
    metric = gauge("x", "a\\b\nc")
    metric.add(0.5, name='a"b\\c\nd')
    assert render([metric]) == '# HELP x a\\\\b\\nc\n# TYPE x gauge\nx{name="a\\"b\\\\c\\nd"} 0.5\n'


def test_histograms_count_exactly_at_their_bounds() -> None:
    assert {round(bound * 1_000_000) for bound in BOUNDS} <= set(LIMITS)
    metric = histogram("t", "time")
    metric.observed(observed(5_000, 5_001, 400_000_000), "latency", endpoint="/step")
    lines = render([metric]).splitlines()
    assert 't_bucket{endpoint="/step",le="0.005"} 1' in lines
    assert 't_bucket{endpoint="/step",le="0.01"} 2' in lines
    assert 't_bucket{endpoint="/step",le="300"} 2' in lines
    assert lines[-3:] == [
        't_bucket{endpoint="/step",le="+Inf"} 3',
        't_sum{endpoint="/step"} 400.010001',
        't_count{endpoint="/step"} 3',
    ]


def test_a_histogram_of_nothing_is_left_out() -> None:
    metric = histogram("t", "time")
    metric.observed({"n": 5}, "latency")
    assert render([metric]) == ""
