"""``python -m deploy.sandbox.rest_api [migrate]``."""

from deploy.sandbox.rest_api.app import build
from deploy.sandbox.server import serve

serve(build)
