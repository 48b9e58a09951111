"""``python -m deploy.operator``: serve the page; exit 2 with one line on standard error where a setting is wrong."""

from __future__ import annotations

import sys

from deploy.operator.app import build
from deploy.operator.settings import OperatorSettings
from deploy.web.complaints import in_a_line, show_what_cannot_be_shown
from deploy.web.logs import configure
from deploy.web.serving import listen, serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    show_what_cannot_be_shown()
    try:
        settings = OperatorSettings()
        configure(settings.log_level, "operator")
        listener = listen(settings.http_host, settings.http_port)
    except ValueError as error:
        print(f"deploy.operator: {in_a_line(error, OperatorSettings)}", file=sys.stderr)
        sys.exit(2)
    serve(build(settings), listener, settings.trusted_proxies)


if __name__ == "__main__":
    main()
