"""Entry point of `shuangcheng`: the list of its commands."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from deploy.addresses import forget_libpq_variables
from deploy.cli.audit import audit
from deploy.cli.backup import backup, restore
from deploy.cli.registries import registries
from deploy.cli.send import send
from deploy.cli.set_aside import set_aside
from deploy.cli.topics import topics
from deploy.cli.transfers import transfers
from deploy.cli.upgrade import upgrade
from deploy.web.complaints import show_what_cannot_be_shown

TRYOUT: Final = ("demo", "up", "play", "doctor")
"""Commands for a first look: their modules load only when somebody asks for them, since operations need none of it."""


class _Commands(TyperGroup):
    """All commands, those of TRYOUT first. Contexts are ``Any``: typer has a copy of click of its own."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*TRYOUT, *self.commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in TRYOUT:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"deploy.tryout.cli.{cmd_name}")
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(getattr(module, cmd_name))
        return get_command(alone)


app = typer.Typer(
    name="shuangcheng",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Shuangcheng (双城): the linkage between two cities' volunteer registries.",
    epilog="Exit status: 0 done; 1 it failed or does not balance; 2 wrong usage, or this machine lacks something.",
)

# One command a file: its function is registered here.
app.command()(send)
app.command()(topics)
app.command()(audit)
app.command()(backup)
app.command()(restore)
app.add_typer(registries)
app.add_typer(set_aside)
app.add_typer(transfers)
app.add_typer(upgrade)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"shuangcheng {version('shuangcheng')}")
        except PackageNotFoundError:
            typer.echo("shuangcheng (not installed: run from a checkout)")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


def main() -> None:
    """Run the command line."""
    forget_libpq_variables()
    show_what_cannot_be_shown()
    app()


if __name__ == "__main__":
    main()
