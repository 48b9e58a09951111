"""A process as the launcher knows them, for its tests: `migrate`, health over HTTP, faults on request."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/die":
            print("dying as asked", flush=True)
            os._exit(3)
        ready = self.path != "/health/ready" or os.environ.get("SHUANGCHENG_FAULT") != "never-ready"
        body = json.dumps({name: value for name, value in os.environ.items() if name.startswith("SHUANGCHENG_")})
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""


def main() -> None:
    fault = os.environ.get("SHUANGCHENG_FAULT")
    if sys.argv[1:] == ["migrate"]:
        sys.exit("cannot migrate" if fault == "migrate" else 0)
    if fault == "start":
        sys.exit("cannot start: no such luck")
    HTTPServer(
        (os.environ["SHUANGCHENG_HTTP_HOST"], int(os.environ["SHUANGCHENG_HTTP_PORT"])), _Answers
    ).serve_forever()


if __name__ == "__main__":
    main()
