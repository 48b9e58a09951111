"""Running a command's coroutine: errors of the machine end in one message and a status, signals in an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from deploy.local.errors import EnvironmentProblem, LocalError

INTERRUPTED = 130
_OF_THE_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE})


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run it to its exit status and leave; Ctrl-C and SIGTERM cancel it, so that it stops what it started."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its complaints come back as errors
    try:
        status = asyncio.run(_cancelled_by_sigterm(command))
    except LocalError as error:
        fail(error)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        fail(
            EnvironmentProblem(
                f"{error.strerror}: {error.filename or 'no file named'}",
                todo="free space or rights there, or set SHUANGCHENG_HOME to another folder",
            )
        )
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = INTERRUPTED
    raise typer.Exit(status)


def fail(error: LocalError) -> NoReturn:
    """Say what is wrong and what to do, and leave with the error's status."""
    print(f"shuangcheng: {error}", file=sys.stderr)
    raise typer.Exit(error.exit_code)


async def _cancelled_by_sigterm(command: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(command)
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
