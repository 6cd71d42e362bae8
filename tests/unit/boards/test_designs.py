"""What a bitstream of the gateway holds after power-on."""

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from vtep.local.neighbors import Neighbor
from vtep_boards import designs
from vtep_boards.designs import DESIGNS
from vtep_boards.facts import BOARDS
from vtep_boards.gateway import Gateway, Host
from vtep_host.config import ConfigError

VTEP = '[vtep]\nmac = "02:00:00:00:00:01"\nipv4 = "10.0.0.1"\nipv6 = "fd00::1"\nipv4_prefix = 24\n'
ROUTER = 'ipv4_router = "10.0.0.{}"\n'
TUNNELS = """
[[tunnel]]
name = "near"
remote = "10.0.0.2"
vlan = 7
[[tunnel]]
name = "far"
remote = "192.0.2.1"
[[tunnel]]
name = "given"
remote = "192.0.2.2"
remote_mac = "02:00:00:00:00:99"
[[tunnel]]
name = "six"
remote = "fd00::2"
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Builds a gateway of a configuration; returns what it is built with, and what is told of it."""
    kept: dict[str, Any] = {}

    def keep(*arguments: Any, **options: Any) -> None:
        kept.clear()
        kept.update(options, tunnels=[bits for table, _, bits in arguments[2] if table.name == "TUNNEL"])

    monkeypatch.setattr(designs, "Gateway", keep)

    def make(text: str, board: str = "colorlight-i5", design: str = "gateway") -> tuple[dict[str, Any], dict[str, Any]]:
        (tmp_path / "vtep.toml").write_text(text)
        _, told = DESIGNS[design](BOARDS[board], tmp_path / "vtep.toml")
        assert told["design"] == design
        return dict(kept), told

    return make


def test_next_hops_are_there_after_power_on(made: Any) -> None:
    options, told = made(VTEP + ROUTER.format(254) + TUNNELS)
    assert options["initial"] == [Neighbor(0x0A000002, 4, 7), Neighbor(0x0A0000FE, 4), Neighbor(0xFD00 << 112 | 2, 6)]
    assert len(options["tunnels"]) == 4
    assert told["configuration_hash"] == f"{options['configuration']:#010x}"


def test_the_hash_tells_next_hops_apart(made: Any) -> None:
    """Also where all else, tables and settings, is the same."""
    first, second = (made(VTEP + ROUTER.format(last) + TUNNELS)[0] for last in (253, 254))
    assert first["tunnels"] == second["tunnels"]
    assert first["configuration"] != second["configuration"]
    assert made(VTEP + ROUTER.format(253) + TUNNELS)[0]["configuration"] == first["configuration"]


def test_more_next_hops_than_neighbors_are_refused(made: Any) -> None:
    many = "".join(f'[[tunnel]]\nname = "t{i}"\nremote = "10.0.0.{i + 2}"\nvlan = {i}\n' for i in range(16))
    assert len(made(VTEP + many)[0]["initial"]) == 16
    with pytest.raises(ConfigError, match=r"for 17 next hops"):
        made(VTEP + many.replace("vlan = 15\n", "vlan = 15\n[[tunnel]]\nname = 'x'\nremote = '10.0.0.99'\n"))


def test_tells_what_it_is(made: Any) -> None:
    """Board and design are in the hash, too."""
    told = [made(VTEP, board, design)[1] for board in BOARDS for design in ("gateway", "gateway-serial-host")]
    assert len({one["configuration_hash"] for one in told}) == 2 * len(BOARDS)
    assert len({one["build_hash"] for one in told}) == 1
    assert {one["release"] for one in told} == {metadata.version("openvtep")}


def test_with_a_host_at_the_serial_line_nobody_resolves(made: Any) -> None:
    given = TUNNELS[TUNNELS.index('[[tunnel]]\nname = "given"') : TUNNELS.index('[[tunnel]]\nname = "six"')]
    options, _ = made(VTEP + given, design="gateway-serial-host")
    assert (options["host"], list(options["initial"]), len(options["tunnels"])) == (Host.SERIAL, [], 1)
    assert made(VTEP + given)[0]["host"] is Host.LOCAL
    with pytest.raises(ConfigError, match="remote_mac"):
        made(VTEP + TUNNELS, design="gateway-serial-host")
    with pytest.raises(ValueError, match="no neighbors"):
        Gateway(host=Host.SERIAL, initial=[Neighbor(0x0A000002, 4)])


def test_a_host_at_a_port_needs_a_third_one(made: Any) -> None:
    with pytest.raises(ValueError, match="colorlight-i5 has 2 ports, and a host at a port needs a third one"):
        made(VTEP, design="gateway-port-host")
