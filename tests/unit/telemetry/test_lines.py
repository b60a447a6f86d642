"""A line of the log: what Powertools would write, for less."""

import logging

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from quintet.telemetry.lines import Lines

SECOND = 1_796_083_199.0  # the last one of a month


@pytest.mark.parametrize("beside", [[0.0, 0.25, 0.000999, 0.9989995], [0.9999996, 0.5], [1.0, 0.0, 60.0, 0.9995]])
def test_the_time_is_written_as_powertools_writes_it(beside: list[float]) -> None:
    ours, theirs = Lines("quintet", "policy"), LambdaPowertoolsFormatter(utc=True, use_rfc3339=True)
    record = logging.makeLogRecord({})
    for record.created in (SECOND + each for each in beside):
        assert ours.formatTime(record) == theirs.formatTime(record)


def test_what_is_told_beside_a_message_is_told_and_its_personal_data_is_not() -> None:
    told = {
        "msg": "request",
        "name": "quintet",
        "agent_id": "ann@example.com",
        "principal": None,
        "steps": [1, "a@b.io"],
    }
    line = Lines("quintet", "policy").format(logging.makeLogRecord(told))
    assert '"message":"request"' in line
    assert '"agent_id":"[email]"' in line
    assert '"steps":[1,"[email]"]' in line
    assert "principal" not in line
