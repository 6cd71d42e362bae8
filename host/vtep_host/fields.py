"""Checks of single configuration values: each returns the value it stands for or says what is allowed.

Every check is a function from a value that a TOML file can hold to the value that the configuration holds; it
raises `RefusedError` with the allowed range, in words that read well behind "must be".
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

__all__ = [
    "RefusedError",
    "address",
    "boolean",
    "choice",
    "integer",
    "integer_or_inherit",
    "ipv4",
    "ipv6",
    "mac",
    "name",
    "names",
    "unicast_mac",
]

_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")

MAX_NAME_LENGTH = 64


class RefusedError(ValueError):
    """A value is not allowed; the message says what is."""


def boolean(value: object) -> bool:
    """Check for a TOML boolean."""
    if not isinstance(value, bool):
        raise RefusedError("true or false")
    return value


def integer(low: int, high: int) -> Callable[[object], int]:
    """Check for an integer within ``low .. high``."""

    def check(value: object) -> int:
        # TOML's booleans are Python's, which are integers.
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise RefusedError(f"an integer within {low} .. {high}")
        return value

    return check


def integer_or_inherit(low: int, high: int) -> Callable[[object], int | Literal["inherit"]]:
    """Check for an integer within ``low .. high`` or the word "inherit"."""
    inner = integer(low, high)

    def check(value: object) -> int | Literal["inherit"]:
        if value == "inherit":
            return "inherit"
        try:
            return inner(value)
        except RefusedError as refused:
            raise RefusedError(f'{refused}, or "inherit"') from None

    return check


def choice(*words: str) -> Callable[[object], str]:
    """Check for one of ``words``."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise RefusedError("one of " + ", ".join(f'"{word}"' for word in words))
        return value

    return check


def name(value: object) -> str:
    """Check for the name of a tunnel."""
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= MAX_NAME_LENGTH
        or not value.isprintable()
        or value != value.strip()
    ):
        raise RefusedError(f"a string of 1 .. {MAX_NAME_LENGTH} printable characters, no blank at either end")
    return value


def names(value: object) -> tuple[str, ...]:
    """Check for a list of tunnel names, none twice."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RefusedError("a list of tunnel names (strings)")
    twice = sorted({item for item in value if value.count(item) > 1})
    if twice:
        raise RefusedError("a list that names each tunnel at most once; twice or more: " + ", ".join(map(repr, twice)))
    return tuple(value)


def mac(value: object) -> bytes:
    """Check for a MAC address other than all zeros."""
    if not isinstance(value, str) or not _MAC.fullmatch(value) or not int(value.replace(":", ""), 16):
        raise RefusedError('a MAC address such as "02:00:00:00:00:01", not all zeros')
    return bytes.fromhex(value.replace(":", ""))


def unicast_mac(value: object) -> bytes:
    """Check for a MAC address that is neither zero nor a group (IEEE 802: lowest bit of the first byte)."""
    try:
        number = mac(value)
    except RefusedError:
        number = b"\1"
    if number[0] & 1:
        raise RefusedError('a unicast MAC address such as "02:00:00:00:00:01" (first byte even, not all zeros)')
    return number


def _number(value: object, kind: Callable[[str], IPv4Address | IPv6Address]) -> IPv4Address | IPv6Address | None:
    if not isinstance(value, str) or "%" in value:  # no scope: it names an interface of some host
        return None
    try:
        return kind(value)
    except ValueError:
        return None


def _is_host(number: IPv4Address | IPv6Address) -> bool:
    return not (number.is_multicast or number.is_unspecified or number == IPv4Address("255.255.255.255"))


def ipv4(value: object) -> IPv4Address:
    """Check for a unicast IPv4 address."""
    number = _number(value, IPv4Address)
    if not isinstance(number, IPv4Address) or not _is_host(number):
        raise RefusedError('a unicast IPv4 address such as "10.0.0.1"')
    return number


def ipv6(value: object) -> IPv6Address:
    """Check for a unicast IPv6 address without scope."""
    number = _number(value, IPv6Address)
    if not isinstance(number, IPv6Address) or not _is_host(number):
        raise RefusedError('a unicast IPv6 address such as "fd00::1"')
    return number


def address(value: object) -> IPv4Address | IPv6Address:
    """Check for an IPv4 or IPv6 address, unicast or a multicast group."""
    number = _number(value, IPv4Address) or _number(value, IPv6Address)
    if number is None or not (_is_host(number) or number.is_multicast):
        raise RefusedError('an IPv4 or IPv6 address, unicast or multicast group, such as "10.0.0.2" or "fd00::2"')
    return number
