"""Running a command's coroutine: errors of the machine end in one message and a status, signals in an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from deploy.local.errors import EnvironmentProblem, LocalError

INTERRUPTED = 130


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run it to its exit status and leave; Ctrl-C and SIGTERM cancel it, so that it stops what it started."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its complaints come back as errors
    try:
        status = asyncio.run(_cancelled_by_signals(command))
    except LocalError as error:
        fail(error)
    except OSError as error:
        fail(_of_the_machine(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = INTERRUPTED
    raise typer.Exit(status)


def fail(error: LocalError) -> NoReturn:
    """Say what is wrong and what to do, and leave with the error's status."""
    print(f"shuangcheng: {error}", file=sys.stderr)
    raise typer.Exit(error.exit_code)


def _of_the_machine(error: OSError) -> EnvironmentProblem:
    said = error.strerror or str(error) or type(error).__name__
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        # asyncio joins several failed connections into an error without a number.
        return EnvironmentProblem(said, todo="see whether broker, database and services answer at their addresses")
    return EnvironmentProblem(
        f"{said}: {error.filename or 'no file named'}",
        todo="free space or rights there, or set SHUANGCHENG_HOME to another folder",
    )


async def _cancelled_by_signals(command: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(command)
    with contextlib.suppress(NotImplementedError):
        # SIGINT too: a shell starts what stands in the background with SIGINT ignored, and Python leaves it so.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
    return await task
