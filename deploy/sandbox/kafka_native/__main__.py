"""``python -m deploy.sandbox.kafka_native [migrate]``."""

from pathlib import Path

from deploy.sandbox.kafka_native.app import build
from deploy.sandbox.server import serve

serve(build, Path(__file__).parent / "migrations")
