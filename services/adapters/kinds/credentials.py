"""How an adapter shows its registry's system who it is: a bearer token, a client certificate, both or neither."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from pydantic import SecretStr

from services.adapters.settings import AdapterSettings
from services.chassis.base.configuration import ConfigurationError

__all__ = ["Credentials", "certificate_refused", "read_credentials"]

_REFUSALS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""Parts of the names of TLS alerts by which a server says that it does not let a client in (RFC 8446, 6.2)."""


def _anybody() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _known_to(address: str) -> ssl.SSLContext:
    """The authorities by which the system at this address is known; none without TLS: they take 40 ms to read."""
    return _anybody() if address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token and certificate that we show, and the authorities by which we know the system. No ``repr`` has the
    token."""

    token: SecretStr | None = None
    context: ssl.SSLContext = field(default_factory=_anybody, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request. They are secret."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token.get_secret_value()}"}


def read_credentials(settings: AdapterSettings, address: str) -> Credentials:
    """Read from the settings, for the system at this address. Raises ``ConfigurationError``, which names the setting
    and never its value."""
    certificate, key, authority = settings.system_certificate, settings.system_key, settings.system_ca
    if key is not None and certificate is None:
        raise ConfigurationError("SHUANGCHENG_SYSTEM_KEY: set SHUANGCHENG_SYSTEM_CERTIFICATE to its certificate too")
    if (certificate or authority) and not address.startswith("https:"):
        setting = "CERTIFICATE" if certificate else "CA"
        raise ConfigurationError(
            f"SHUANGCHENG_SYSTEM_{setting}: certificates are shown over https only, and system.address of the registry "
            "is not https"
        )
    context = _known_to(address) if authority is None else _trusting(authority)
    if certificate is not None:
        try:
            # A key under a passphrase would ask for it at the terminal.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise _unusable("SHUANGCHENG_SYSTEM_CERTIFICATE", key or certificate, error) from None
    return Credentials(settings.system_token, context)


def _trusting(authority: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as error:
        raise _unusable("SHUANGCHENG_SYSTEM_CA", authority, error) from None


def _unusable(setting: str, file: Path, error: Exception) -> ConfigurationError:
    what = error.reason if isinstance(error, ssl.SSLError) and error.reason else getattr(error, "strerror", None)
    return ConfigurationError(f"{setting}: {file}: no PEM file that can be used ({what or type(error).__name__})")


def certificate_refused(error: BaseException | None) -> str | None:
    """The alert by which the system refused our certificate, or the lack of a certificate; None for any other failure.

    With TLS 1.3 the alert comes after our request was sent, and looks like a connection that was cut. Still the request
    was not read.
    """
    while error is not None:
        if isinstance(error, ssl.SSLError) and "ALERT" in (alert := error.reason or ""):
            return alert if any(name in alert for name in _REFUSALS) else None
        error = error.__cause__ or error.__context__
    return None
