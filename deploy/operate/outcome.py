"""Runs a command's coroutine to its exit status. A failure of machine, database or broker ends in one message, a signal
in an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError

from deploy.operate.errors import DATABASE_ERRORS, EnvironmentProblem, LocalError, words

__all__ = ["INTERRUPTED", "outcome", "told"]

INTERRUPTED = 130


def outcome(command: Coroutine[Any, Any, int]) -> int:
    """Run it and give its exit status; Ctrl-C and SIGTERM cancel it, so that it stops what it started.

    An error that `told` knows is said on standard error, with its notes; any other is ours and comes through.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its complaints come as errors too
    try:
        return asyncio.run(_cancelled_by_signals(command))
    except (KeyboardInterrupt, asyncio.CancelledError) as interrupted:
        _say_notes(interrupted)
        return INTERRUPTED
    except Exception as error:
        known = told(error)
        if known is None:
            raise
        print(f"shuangcheng: {known}", file=sys.stderr)
        _say_notes(error)
        return known.exit_code


def told(error: Exception) -> LocalError | None:
    """Give what a user is told about an error of machine, database or broker; None for any other."""
    if isinstance(error, LocalError):
        return error
    if isinstance(error, DATABASE_ERRORS):
        return EnvironmentProblem(
            f"PostgreSQL: {words(error)} ({type(error).__name__})",
            todo="see whether it still runs and lets us in, and its log; SHUANGCHENG_POSTGRES names one to use",
        )
    if isinstance(error, KafkaError):
        return EnvironmentProblem(
            f"Kafka: {words(error)}",
            todo="see whether the broker still runs at its address, and its log",
        )
    return _of_the_machine(error) if isinstance(error, OSError) else None


def _of_the_machine(error: OSError) -> EnvironmentProblem:
    said = error.strerror or words(error)
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        # asyncio joins several failed connections into an error without a number.
        return EnvironmentProblem(said, todo="see whether broker, database and services answer at their addresses")
    return EnvironmentProblem(
        f"{said}: {error.filename or 'no file named'}",
        todo="free space or rights there, or set SHUANGCHENG_HOME to another folder",
    )


def _say_notes(error: BaseException) -> None:
    for note in getattr(error, "__notes__", ()):
        print(note, file=sys.stderr)


async def _cancelled_by_signals(command: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(command)
    with contextlib.suppress(NotImplementedError):
        # SIGINT too: a shell starts what stands in the background with SIGINT ignored, and Python leaves it so.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
    return await task
