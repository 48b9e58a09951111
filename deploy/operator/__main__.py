"""``python -m deploy.operator``: serve the page; exit 2 with one line where a setting does not fit."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from deploy.operator.app import build
from deploy.operator.settings import OperatorSettings
from deploy.web.serving import listen, serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = OperatorSettings()
        listener = listen(settings.http_host, settings.http_port)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        print(f"deploy.operator: SHUANGCHENG_{name.upper()}: {first['msg']}", file=sys.stderr)
        sys.exit(2)
    except ValueError as error:
        print(f"deploy.operator: {error}", file=sys.stderr)
        sys.exit(2)
    serve(build(settings), listener, settings.log_level)


if __name__ == "__main__":
    main()
