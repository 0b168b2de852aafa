"""HTTP Message Signatures, RFC 9421: what is signed of a message, and how it is written down.

Rules: the base is made from the bytes that are sent; a component that the message lacks is an error, never an empty
line. Not here: components with parameters of their own (`"@query-param";name=…`, `;sf`, `;key`), `;req`, responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.core.keys import Algorithm
from simulator.core.omit import OMIT
from simulator.core.places import Place

DERIVED = ("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query")
ALGORITHMS = {  # the registered names, section 6.2; RSA-PSS is salted and so never the same twice
    Algorithm("hmac", "sha256"): "hmac-sha256",
    Algorithm("eddsa", "ed25519"): "ed25519",
    Algorithm("ecdsa", "p256-raw"): "ecdsa-p256-sha256",
    Algorithm("ecdsa", "p384-raw"): "ecdsa-p384-sha384",
    Algorithm("rsa", "sha256"): "rsa-v1_5-sha256",
}
FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
VISIBLE = re.compile(r"[ -~]*")
URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
PORTS = {"http": ":80", "https": ":443"}
Headers = Iterable[tuple[bytes, bytes]]


def check_components(names: list[str], place: Place) -> None:
    """Complains of what cannot be covered (section 2)."""
    for index, name in enumerate(names):
        if name in names[:index]:
            (place / index).complain(f"{name} is covered twice; a component stands once (RFC 9421 section 2)")
        elif name.startswith("@") and name not in DERIVED:
            (place / index).unknown("component", name, DERIVED)
        elif not name.startswith("@") and not FIELD.fullmatch(name):
            (place / index).complain(f"{name!r} is no field name in lower case, such as content-digest")


def check_parameters(names: Iterable[str], place: Place) -> None:
    """Complains of names that no parameter can have (RFC 9651 section 3.1.2)."""
    for name in names:
        if not KEY.fullmatch(name):
            (place / name).complain(f"{name!r} is no parameter; write a lower-case name, such as keyid", at_key=True)


def signature_input(components: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """The covered components and the parameters, `("@method");created=1;keyid="k"` (section 2.3): whole numbers as
    Integers, texts as Strings, true as a flag; null and omit are left out. Raises ValueError for other values.
    """
    covered = " ".join(f'"{name}"' for name in components)
    told = [(name, value) for name, value in parameters.items() if value is not None and value is not OMIT]
    return f"({covered}){''.join(f';{name}{_bare(name, value)}' for name, value in told)}"


def signature_base(components: Iterable[str], signed: str, method: str, url: str, headers: Headers) -> bytes:
    """The bytes to sign (section 2.5); `signed` is the `signature_input`. Raises ValueError where one is missing."""
    fields = _fields(headers)
    parts = _parts(method, url)
    lines = [b'"%s": %s\n' % (name.encode(), _component(name, parts, fields)) for name in components]
    return b'%s"@signature-params": %s' % (b"".join(lines), signed.encode())


def _bare(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "" if value else "=?0"
    if isinstance(value, int):
        return f"={value}"
    if isinstance(value, str) and VISIBLE.fullmatch(value):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'="{escaped}"'
    raise ValueError(f"the parameter {name} is a whole number, true, or a text of visible ASCII, not {value!r}")


def _component(name: str, parts: Mapping[str, str], fields: Mapping[str, list[bytes]]) -> bytes:
    if name in parts:
        return parts[name].encode()
    if name not in fields:
        raise ValueError(f"{name} is covered by the signature, and the webhook has no such header; add it to `headers`")
    return b", ".join(fields[name])


def _fields(headers: Headers) -> dict[str, list[bytes]]:
    """The values of each field, trimmed, in the order of its lines (section 2.1)."""
    fields: dict[str, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.decode("latin-1").lower(), []).append(value.strip())
    return fields


def _parts(method: str, url: str) -> dict[str, str]:
    """The derived components of a request (section 2.2)."""
    found = URL.match(url)
    if found is None:
        raise ValueError(f"{url!r} is no absolute URL")
    scheme, path, query = found["scheme"].lower(), found["path"] or "/", found["query"] or ""
    authority = found["authority"].rpartition("@")[2].lower().removesuffix(PORTS.get(scheme, ""))
    return {
        "@method": method,
        "@target-uri": f"{found['scheme']}://{found['authority']}{path}{query}",
        "@authority": authority,
        "@scheme": scheme,
        "@request-target": path + query,
        "@path": path,
        "@query": query or "?",
    }
