"""The class of an error, wherever it comes from."""

from __future__ import annotations

import asyncpg
import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from services.chassis.base.failures import FailureClass, NotDecidable, OutOfTime, classify

_STATES = {
    "08006": FailureClass.TRANSIENT,
    "40001": FailureClass.TRANSIENT,
    "40P01": FailureClass.TRANSIENT,
    "53100": FailureClass.TRANSIENT,
    "53300": FailureClass.TRANSIENT,
    "57014": FailureClass.TRANSIENT,
    "57P01": FailureClass.TRANSIENT,
    "55P03": FailureClass.TRANSIENT,
    "25P03": FailureClass.OUT_OF_TIME,
    "23505": FailureClass.PERMANENT,
    "23P01": FailureClass.PERMANENT,
    "23514": FailureClass.PERMANENT,
    "22021": FailureClass.UNLISTED,
    "22003": FailureClass.UNLISTED,
    "25006": FailureClass.UNLISTED,
    "42501": FailureClass.LACKING,
    "42P01": FailureClass.LACKING,
    "42703": FailureClass.LACKING,
    "55000": FailureClass.UNLISTED,
    "58030": FailureClass.UNLISTED,
    "XX000": FailureClass.UNLISTED,
}


@pytest.mark.parametrize(("code", "expected"), _STATES.items())
def test_what_the_database_tells_is_judged_by_its_state(code: str, expected: FailureClass) -> None:
    assert classify(asyncpg.PostgresError.new({"C": code, "M": "no matter"})) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.InterfaceError("connection is closed"), FailureClass.TRANSIENT),
        (asyncpg.InterfaceError("pool is closing"), FailureClass.TRANSIENT),
        (
            asyncpg.InterfaceError("cannot call Transaction.__aexit__(): the underlying connection is closed"),
            FailureClass.TRANSIENT,
        ),
        (asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"), FailureClass.UNLISTED),
        (asyncpg.exceptions.UnsupportedClientFeatureError("no"), FailureClass.UNLISTED),
        (ConnectionRefusedError(), FailureClass.TRANSIENT),
        (TimeoutError(), FailureClass.TRANSIENT),
        (TopicAuthorizationFailedError(), FailureClass.TRANSIENT),
        (OverflowError("value out of int64 range"), FailureClass.UNLISTED),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), FailureClass.UNLISTED),
        (OutOfTime("60 s"), FailureClass.OUT_OF_TIME),
        (NotDecidable("no"), FailureClass.PERMANENT),
        (KeyError("x"), FailureClass.UNLISTED),
    ],
    ids=repr,
)
def test_what_this_side_meets_is_judged_by_its_kind(error: Exception, expected: FailureClass) -> None:
    assert classify(error) is expected
