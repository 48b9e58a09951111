"""Pages behind a proxy with TLS: what it says of the address counts if the settings name it, wherever it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from deploy.web.proxies import TrustedProxies

PAGE = """
import sys
from fastapi import FastAPI, Request
from deploy.web.serving import listen, serve
app = FastAPI()
@app.get("/base")
def base(request: Request) -> str:
    return str(request.base_url)
listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
serve(app, listener, sys.argv[1])
"""


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[str]:
    """A page that says what its own address is, trusting the proxies of the parameter."""
    process = subprocess.Popen([sys.executable, "-c", PAGE, request.param], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    yield f"http://127.0.0.1:{port}/base"
    process.terminate()
    process.wait()
    process.stdout.close()


def asked(page: str, proxy: str) -> str:
    """What the page answers to a proxy at this address, which was asked over TLS."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=proxy)) as client:
        answer = client.get(page, headers={"X-Forwarded-Proto": "https", "Host": "pages.example.org"})
    text: str = answer.json()
    return text


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
@pytest.mark.parametrize("page", ["127.0.0.1/32,127.7.0.0/16"], indirect=True)
def test_a_proxy_that_is_named_says_whether_it_was_https(page: str) -> None:
    assert asked(page, "127.0.0.1") == "https://pages.example.org/"
    assert asked(page, "127.7.1.2") == "https://pages.example.org/"
    assert asked(page, "127.8.0.1") == "http://pages.example.org/"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        ("172.17.0.1/16, ::1", "172.17.0.0/16,::1/128"),
        (" * ", "*"),
    ],
)
def test_proxies_are_named_by_address_or_network(given: str, meant: str) -> None:
    assert TypeAdapter(TrustedProxies).validate_python(given) == meant


@pytest.mark.parametrize("given", ["", "proxy.example.org", "10.0.0.1,", "10.0.0.1/40"])
def test_a_name_that_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="holds no address"):
        TypeAdapter(TrustedProxies).validate_python(given)
