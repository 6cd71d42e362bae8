"""A configuration as plain data, in the words of its TOML schema: to be shown, compared, or given to programs."""

from collections.abc import Iterator
from dataclasses import fields, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from .config import Config, Tunnel

__all__ = ["differences", "named", "plain"]


def plain(config: Config) -> dict[str, Any]:
    """``vtep``, ``vni``, ``tunnel`` and ``fdb`` as `config` reads them; defaults are filled in."""
    return {
        "vtep": _entry(config.vtep),
        "vni": [_entry(vni) for vni in config.vnis],
        "tunnel": [_entry(tunnel) for tunnel in config.tunnels],
        "fdb": [_entry(entry) for entry in config.fdb],
    }


def named(config: Config, names: Config) -> Config:
    """``config`` with the tunnels called as those of ``names`` that are the same, where there are any.

    For what was read from a device, which knows no names.
    """
    free = list(names.tunnels)
    taken = {tunnel.name for tunnel in free}
    new: dict[str, str] = {}
    for tunnel in config.tunnels:
        same = next((other for other in free if replace(other, name="") == replace(tunnel, name="")), None)
        if same is not None:
            free.remove(same)
            new[tunnel.name] = same.name
        else:
            name = tunnel.name
            while name in taken:
                name += "'"
            new[tunnel.name] = name
    return replace(
        config,
        vnis=tuple(replace(vni, flood=tuple(new[name] for name in vni.flood)) for vni in config.vnis),
        tunnels=tuple(replace(tunnel, name=new[tunnel.name]) for tunnel in config.tunnels),
        fdb=tuple(replace(entry, tunnel=new[entry.tunnel]) for entry in config.fdb),
    )


def differences(held: Config, wanted: Config) -> list[str]:
    """What a device holds compared with what it should; a line for each entry that differs.

    Tunnels count for where they lead, not for their names, and only where something leads into them.
    """
    of_held, of_wanted = _by_key(held), _by_key(wanted)
    lines = []
    for key in [*of_wanted, *(key for key in of_held if key not in of_wanted)]:
        is_, should = of_held.get(key), of_wanted.get(key)
        if is_ is None:
            lines.append(f"{key}: missing")
        elif should is None:
            lines.append(f"{key}: should not be there")
        else:
            for name, value in should.items():
                if is_[name] != value:
                    lines.append(f"{key}: {name} {_text(is_[name])}, should be {_text(value)}")
    return lines


def _by_key(config: Config) -> dict[str, dict[str, Any]]:
    """Every entry by a text that names it."""
    tunnels = {tunnel.name: tunnel for tunnel in config.tunnels}
    entries = {"[vtep]": _entry(config.vtep)}
    for vni in config.vnis:
        flood = [_way(tunnels[name]) for name in vni.flood]
        entries[f"[[vni]] {vni.id}"] = _entry(vni) | {"flood": flood}
    for entry in config.fdb:
        entries[f"[[fdb]] {entry.vni} {_value(entry.mac)}"] = {"tunnel": _way(tunnels[entry.tunnel])}
    return entries


def _way(tunnel: Tunnel) -> str:
    """A tunnel without its name, and without what it has not."""
    parts = _entry(replace(tunnel, name=""))
    return " ".join(f"{name}={value}" for name, value in parts.items() if name != "name" and value is not None)


def _entry(entry: Any) -> dict[str, Any]:
    return dict(_pairs(entry))


def _pairs(entry: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(entry):
        yield field.name, _value(getattr(entry, field.name))


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex(":")
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    return value


def _text(value: Any) -> str:
    return "[" + ", ".join(value) + "]" if isinstance(value, list) else str(value)
