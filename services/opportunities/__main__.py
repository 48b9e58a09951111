"""``python -m services.opportunities [migrate]``."""

from services.chassis.runtime import main
from services.opportunities.service import build

main("opportunities", build)
