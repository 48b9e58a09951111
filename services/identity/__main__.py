"""``python -m services.identity``: run the service; with ``migrate``, bring its database up to date and end."""

from services.chassis.runtime import main
from services.identity.service import build

main("identity", build)
