"""A line of the log: Powertools' JSON, without personal data and without secrets."""

import json
import logging
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from aws_lambda_powertools.logging.formatter import RESERVED_LOG_ATTRS, LambdaPowertoolsFormatter

from quintet.store.meter import used
from quintet.telemetry import emf
from quintet.telemetry.redaction import redact, redacted

# Tokens, keys and signed tokens, should one ever get into a message: the last line of defence, not the first.
_SECRETS = re.compile(
    r"(Bearer\s+)[\w.~+/=-]+|\b(qk_[a-z0-9]{1,16}_|sk-|whsec_|xox[abp]-|gh[opsu]_)[\w-]{8,}|\b(eyJ)[\w-]{8,}\.[\w-]+\.[\w-]+"
)
_MARKS = ("Bearer", "eyJ", "gho_", "ghp_", "ghs_", "ghu_", "qk_", "sk-", "whsec_", "xoxa-", "xoxb-", "xoxp-")

# What we write ourselves into every line: times, ids and places, some of which look like telephone numbers.
_OUR_OWN = frozenset(
    {"function_request_id", "level", "location", "request_id", "service", "stack_trace", "timestamp", "xray_trace_id"}
)
_EVERY_RECORDS = frozenset(RESERVED_LOG_ATTRS)
_TO_THE_SECOND, _FRACTION = len("2026-11-29T18:53:46"), len(".123")
_OWN = len(vars(logging.makeLogRecord({})))  # a record's own come first, then what was told beside the message

# What is no JSON is told as text.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=lambda value: redact(str(value))).encode

for _what in ("Threads", "Processes", "Multiprocessing", "AsyncioTasks"):  # no line tells of them
    setattr(logging, f"log{_what}", False)


class Lines(LambdaPowertoolsFormatter):
    """Looks for what few lines have, such as an exception, in those alone: every request writes one of the others."""

    def __init__(self, service: str, function: str) -> None:
        self._second = 0.0, "", ""  # the last that was written, what stands before its fraction, and after
        super().__init__(json_serializer=_line, utc=True, use_rfc3339=True, service=service, function=function)

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.args or not isinstance(record.msg, str):
            return super().format(record)
        told = self.log_format | {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.msg,
            "timestamp": self.formatTime(record),
        }
        beside = islice(vars(record).items(), _OWN, None)
        told.update({name: value for name, value in beside if name not in _EVERY_RECORDS})
        told["xray_trace_id"] = self._get_latest_trace_id()
        return _written(
            {
                name: value if name in _OUR_OWN else redacted(value, _OUR_OWN)
                for name, value in told.items()
                if value is not None
            }
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """As Powertools writes it; the lines of one second share all but three digits of it."""
        second, fraction = divmod(record.created, 1)
        microseconds = round(fraction * 1_000_000)
        if second != self._second[0] or microseconds == 1_000_000:
            whole = super().formatTime(record, datefmt)
            if microseconds == 1_000_000:  # rounded up into the next second
                return whole
            self._second = second, whole[:_TO_THE_SECOND], whole[_TO_THE_SECOND + _FRACTION :]
        return f"{self._second[1]}.{microseconds // 1000:03d}{self._second[2]}"


def _line(record: Mapping[str, Any]) -> str:
    return _written(redacted(record, _OUR_OWN))


def _written(record: Mapping[str, Any]) -> str:
    text = _encode(record)
    used("log_byte", len(text) + emf.LINE_BYTES)
    if not any(map(text.__contains__, _MARKS)):
        return text
    return _SECRETS.sub(lambda found: (found[1] or found[2] or found[3]) + "***", text)
