"""With what a server is asked: its address, and credentials from a Secret's data.

Which addresses may be asked at all is decided here and nowhere else: a tenant who could name any would
make the operator send a Secret anywhere. Reading the Secret is the caller's.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
KEYS = ("token", "username", "password", "ca.crt", "tls.crt", "tls.key")


class AccessRefused(ValueError):  # noqa: N818 - it names what the user has in hand
    """An address that may not be asked, or a Secret that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Access:
    """What is shown to a server and what is demanded of it. Secrets stay out of ``repr``."""

    authorization: str | None = field(default=None, repr=False)
    """Value of the header; None: none is sent."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None: the machine's own authorities, no client certificate."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers, no secrets."""


def chosen_address(declared: str | None, *, default: str | None, allowed: Sequence[str]) -> str | None:
    """The address to ask: the declared one, else the installation's; None where there is neither.

    Raises:
        AccessRefused: the declared address is neither the default nor among the allowed.
    """
    if declared is None:
        return default
    known = [address for address in (default, *allowed) if address]
    if _normal(declared) in map(_normal, known):
        return declared
    listed = ", ".join(known) if known else "none"
    raise AccessRefused(
        f"spec.prometheus.address: found {declared}; allowed here: {listed}; use one of these, or ask those "
        "who installed the operator to add it to prometheus.allowed"
    )


def _normal(address: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path, so that equal addresses compare equal however they are written."""
    parts = urlsplit(address)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        port = None
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def access_from(data: Mapping[str, bytes]) -> Access:
    """Credentials from a Secret's decoded data.

    Raises:
        AccessRefused: keys that contradict each other or are half there, or content that cannot be used.
    """
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise AccessRefused(f"the Secret has the key {unknown[0]}; known are {', '.join(KEYS)}")
    token, username, password = (_text(data, key) for key in ("token", "username", "password"))
    if token is not None and (username is not None or password is not None):
        raise AccessRefused("the Secret has token and username or password: remove one of the two ways")
    if (username is None) is not (password is None):
        raise AccessRefused("the Secret has only one of username and password: add the other")
    if username is not None and ":" in username:
        raise AccessRefused("the Secret's username holds a colon, which HTTP basic authentication forbids")
    return Access(_authorization(token, username, password), _tls(data))


def _authorization(token: str | None, username: str | None, password: str | None) -> str | None:
    if token is not None:
        return f"Bearer {token}"
    if username is None:
        return None
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode('ascii')}"


def _text(data: Mapping[str, bytes], key: str) -> str | None:
    if key not in data:
        return None
    try:
        text = data[key].decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise AccessRefused(f"the Secret's {key} is empty or not one line of text: write it again")
    return text


def _tls(data: Mapping[str, bytes]) -> ssl.SSLContext | None:
    if ("tls.crt" in data) is not ("tls.key" in data):
        raise AccessRefused("the Secret has only one of tls.crt and tls.key: add the other")
    if not {"ca.crt", "tls.crt"} & set(data):
        return None
    try:
        # To Python empty authorities mean those of the machine: a space is refused, as it should be.
        authorities = (data["ca.crt"].decode("ascii") or " ") if "ca.crt" in data else None
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise AccessRefused("the Secret's ca.crt is not a list of PEM certificates") from error
    if "tls.crt" in data:
        _load_client(context, data["tls.crt"], data["tls.key"])
    return context


def _load_client(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Python reads a client certificate from files only: in memory, so that the key touches no disk."""
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        told = "the Secret's tls.crt and tls.key are not a PEM certificate with its unencrypted key"
        raise AccessRefused(told) from error
    finally:
        os.close(descriptor)
