"""`shuangcheng backup` and `shuangcheng restore`: single databases, while everything else runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.running import run
from deploy.linkage import container_of
from deploy.operate.backup import acts
from deploy.operate.backup.manifest import Manifest, read_manifest
from deploy.operate.backup.programs import output
from deploy.operate.backup.restoring import Restored, Wanted
from deploy.operate.backup.restoring import restore as restored
from deploy.operate.backup.secret_store import ComposedSecrets, NoSecrets, SecretFolder, Secrets
from deploy.operate.backup.servers import Composed, Direct, Server
from deploy.operate.backup.taking import Asked, back_up
from deploy.operate.errors import words
from deploy.operate.outcome import told

__all__ = ["backup", "restore"]

Dsn = Annotated[
    str,
    typer.Option(
        "--postgres", metavar="DSN", envvar="SHUANGCHENG_POSTGRES", show_default=False,
        help="Address of a superuser. PostgreSQL's programs must be here (SHUANGCHENG_PG_BIN, PATH, or the wheel).",
    ),
]  # fmt: skip
Compose = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="In place of --postgres: a compose file, such as deploy/compose.yaml. Docker must be here.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--secrets",
        metavar="FOLDER",
        show_default=False,
        help="With --postgres: the folder of the secrets. It has a folder for each role.",
    ),
]
WithoutSecrets = Annotated[
    bool, typer.Option("--without-secrets", help="With --postgres: leave out the naming secrets; you keep them.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="The folder that is made.", show_default=False)],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Databases: bridge, …")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every database that has a role of its own as its owner.")
    ] = False,
    postgres: Dsn = "",
    compose: Compose = None,
    secrets: Folder = None,
    without_secrets: WithoutSecrets = False,
    as_json: Json = False,
) -> None:
    """Dump databases into a new folder, with all that a restoration must know. Nothing is stopped.

    Example: shuangcheng backup backups/2026-08-15 --all --compose deploy/compose.yaml

    The folder holds the naming secrets, which never change: keep it as closely as the databases.
    """
    if bool(names) == every:
        raise typer.BadParameter("name databases, or say --all", param_hint="NAME")
    run(_backup(to, names or [], _Place(postgres, compose, secrets, without_secrets), as_json))


def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A folder that `backup` made.", show_default=False)],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Databases: bridge, …", show_default=False)],
    postgres: Dsn = "",
    compose: Compose = None,
    secrets: Folder = None,
    without_secrets: WithoutSecrets = False,
    with_secret: Annotated[
        bool, typer.Option("--with-secret", help="Put the backup's naming secret in place of another one, or of none.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the old database; otherwise it is kept as NAME_before_TIME.")
    ] = False,
    kafka: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT", envvar="SHUANGCHENG_KAFKA", show_default=False,
            help="Broker, which has the acts of operators since the backup; with --compose that of the file.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Restore databases of a backup, all of them or none, and list what operators have done since the backup.

    Stop the processes that use these databases first. Each database is restored under another name, and takes its own
    name at the end. Therefore nothing is lost if the command fails.

    Example: shuangcheng restore backups/2026-08-15 bridge --compose deploy/compose.yaml
    """
    place = _Place(postgres, compose, secrets, without_secrets)
    run(_restore(source, list(dict.fromkeys(names)), place, with_secret, drop_old, kafka, as_json))


class _Place:
    """Where databases and secrets are."""

    def __init__(self, dsn: str, compose: Path | None, secrets: Path | None, without: bool) -> None:
        # A user who names a compose file may have the address in the environment too.
        if not dsn and compose is None:
            raise typer.BadParameter("give --postgres DSN, or --compose FILE", param_hint="--postgres")
        if compose is None and (secrets is None) != without:
            raise typer.BadParameter("give --secrets FOLDER, or say --without-secrets", param_hint="--secrets")
        self.compose = compose
        self._dsn = dsn
        self._secrets = secrets

    def server(self) -> Server:
        """Raises EnvironmentProblem."""
        return Direct(self._dsn) if self.compose is None else Composed(self.compose)

    def secrets(self, server: Server) -> Secrets:
        """Raises EnvironmentProblem."""
        if isinstance(server, Composed):
            return ComposedSecrets(server)
        return NoSecrets() if self._secrets is None else SecretFolder(self._secrets)

    def stop(self, name: str) -> str:
        """The command that stops the processes which use a database."""
        if self.compose is None:
            return f"the processes of {acts.module_of(name)} on it" if "_" not in name else f"the processes of {name}"
        twin = "" if "_" in name else f" {name}-twin"
        return f"docker compose -f {self.compose} stop {container_of(name)}{twin}"

    def drop(self, name: str) -> str:
        """The command that drops a database that is no longer needed."""
        return (
            f"docker compose -f {self.compose} exec postgres dropdb -U postgres {name}"
            if self.compose
            else f"dropdb {name}"
        )

    def start(self, one: Restored, service: bool) -> list[str]:
        """The commands that start the processes again. A dump of an old version cannot say that it was restored: then
        commands that say so come first."""
        late = service and not one.marked
        command = acts.run(one.name, self.compose)
        told = [f"{command} migrate", f"{command} restored"] if late else []
        if self.compose is None:
            return [*told, f"start the processes of {one.name}"]
        return [*told, f"docker compose -f {self.compose} up -d --wait --wait-timeout 600 {container_of(one.name)}"]


async def _backup(to: Path, names: Sequence[str], place: _Place, as_json: bool) -> int:
    server = place.server()
    manifest = await back_up(to, Asked(server, place.secrets(server), names, _say))
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return 0
    size = sum(one.bytes for one in manifest.databases.values())
    typer.echo(f"{to}: {len(manifest.databases)} databases, {size} bytes, naming secrets of {len(manifest.naming)}")
    return 0


async def _restore(
    source: Path, names: list[str], place: _Place, with_secret: bool, drop_old: bool, kafka: str, as_json: bool
) -> int:
    server = place.server()
    manifest = read_manifest(source)
    wanted = Wanted(server, place.secrets(server), names, with_secret, drop_old, place.stop, _say)
    done = await restored(source, manifest, wanted)
    said, unread = await _acts(manifest, names, server, kafka)
    report = {one.name: _report(one, manifest, place, said.get(one.name, [])) for one in done}
    if as_json:
        typer.echo(json.dumps({"databases": report, "acts_unread": unread}, indent=2, ensure_ascii=False, default=str))
    else:
        _print(report, unread)
    return 0


async def _acts(
    manifest: Manifest, names: Sequence[str], server: Server, kafka: str
) -> tuple[dict[str, list[acts.Act]], str | None]:
    """Operators' acts by database, and why they could not be read. The databases are restored already, so nothing is
    raised."""
    services = {name: manifest.databases[name] for name in names if manifest.databases[name].service}
    if not services:
        return {}, None
    try:
        if isinstance(server, Composed):
            kafka = (await output(server.compose("docker compose port", "port", "kafka", "29092"))).strip()
        if not kafka:
            return {}, "no broker was named (--kafka)"
        return await acts.acts_since(kafka, services), None
    except Exception as error:
        if told(error) is None:
            raise
        return {}, words(error)


def _report(one: Restored, manifest: Manifest, place: _Place, said: Sequence[acts.Act]) -> dict[str, object]:
    database = manifest.databases[one.name]
    return {
        "taken_at": database.taken_at.isoformat(),
        "rows": sum(database.rows.values()),
        "old": one.old,
        "drop": None if one.old is None else place.drop(one.old),
        "marked": one.marked,
        "start": place.start(one, database.service),
        "acts": [
            {
                "act": act.act, "about": act.about, "operator": act.operator, "at": act.at.isoformat(),
                "again": acts.again(one.name, act, place.compose),
            }
            for act in said
        ],
    }  # fmt: skip


def _print(report: dict[str, dict[str, object]], unread: str | None) -> None:
    for name, one in report.items():
        typer.echo(f"{name}: restored as of {one['taken_at']}, {one['rows']} rows")
        if one["old"]:
            typer.echo(f"  the old database is {one['old']} now; when all is well: {one['drop']}")
        for command in one["start"]:  # type: ignore[attr-defined]
            typer.echo(f"  next: {command}")
        if one["marked"]:
            typer.echo(
                "  then look at its /health/ready: it replays what was said since, and says under `why` how far it is"
            )
        for act in one["acts"]:  # type: ignore[attr-defined]
            typer.echo(f"  not in the backup: {act['operator']} did at {act['at']}: {act['act']} {act['about']}")
            typer.echo(f"    to repeat it when the service is ready: {act['again']}")
    if unread is not None:
        typer.echo(f"what operators did since the backup could not be read: {unread}")


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)
