from tests.bench.gateway import LOADS, Subject, missed, table


def subject(name: str, cpu: float, first: float, start: float) -> Subject:
    made = Subject(name, [], "", [], {}, {}, starts=[start, 2 * start], idle_mb=50, loaded_mb=60)
    figures = {"p50": 1.0, "p99": 2.0, "first_p50": first, "first_p99": first, "cpu_ms": cpu, "per_second": 1000 / cpu}
    made.found = {load.name: figures for load in LOADS}
    return made


OURS, THEIRS = subject("ours", 1.0, 1.5, 0.4), subject("theirs", 8.0, 30.0, 6.0)


def test_the_table_says_how_many_times_better_the_first_is() -> None:
    rows = table([OURS, THEIRS]).splitlines()
    assert "| CPU a request, 1 caller (ms) | 1.00 | 8.00 | 8.0 x |" in rows
    assert "| answers a second, 16 callers | 1000 | 125 | 8.0 x |" in rows
    assert "| start to the first answer (s) | 0.40 | 6.00 | 15.0 x |" in rows


def test_one_subject_is_compared_with_nobody() -> None:
    assert "| memory at rest (MB) | 50 | |" in table([OURS]).splitlines()


def test_goals_that_are_missed_are_named() -> None:
    assert missed(OURS, THEIRS) == []
    slow = subject("ours", 4.0, 2.5, 1.0)
    assert len(missed(slow, THEIRS)) == 4


def test_its_store_finds_the_closest_answer() -> None:
    from tests.bench.gateway_peers import places

    exact, near, far = places("DynamoDB.GetItem", b'{"TableName": "t", "Key": {"id": {"S": "a"}}}')
    other = places("DynamoDB.GetItem", b'{"TableName": "t", "Key": {"id": {"S": "b"}}}')
    assert other[0] != exact
    assert other[1] != near
    assert other[2] == far
