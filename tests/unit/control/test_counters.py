import re
from pathlib import Path

import pytest

from vtep.config import VtepParameters
from vtep.control.counters import COUNTER_ADDRESS_BITS, DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map

SPEC = Path(__file__).parents[3] / "docs/SPEC.md"


@pytest.mark.parametrize(("vnis", "tunnels"), [(1, 1), (16, 16), (64, 64), (3, 64), (3000, 4096)])
def test_every_counter_has_an_address_of_its_own(vnis, tunnels):
    counters = counter_map(VtepParameters(vnis=vnis, tunnels=tunnels))
    assert len(counters) == 6 + 16 + 2 * 6 + 2 * 2 * (vnis + tunnels)
    assert len(set(counters.values())) == len(counters)
    assert all(0 <= address < 1 << COUNTER_ADDRESS_BITS for address in counters.values())


def test_addresses():
    counters = counter_map(VtepParameters())
    expected = {
        "tenant_runt": 0x000,
        "mtu": 0x00A,
        "underlay_runt": 0x100000,
        "fragment": 0x10000E,
        "ecn": 0x10001E,
        "tenant_rx_frames": 0x200000,
        "tenant_rx_bytes": 0x200001,
        "host_tx_bytes": 0x20000B,
        "vni[3].encap_frames": 0x300006,
        "vni[15].decap_bytes": 0x40001F,
        "tunnel[0].encap_bytes": 0x500001,
        "tunnel[7].decap_frames": 0x60000E,
    }
    assert {name: counters[name] for name in expected} == expected


@pytest.mark.parametrize(("title", "reasons"), [("## 3.", ENCAP_REASONS), ("## 4.", DECAP_REASONS)])
def test_reasons_are_those_of_the_specification_in_its_order(title, reasons):
    section = SPEC.read_text().split(title)[1].split("\n## ")[0]
    code = re.findall(r"`(\w+)`", section)
    named = list(dict.fromkeys(name for name in code if name in reasons))
    assert named == list(reasons)
    # No drop that the specification names is missing.
    assert set(re.findall(r"drop\s+`(\w+)`", section)) <= set(reasons)


def test_ports():
    assert tuple(f"{port}_{way}" for port in ("tenant", "underlay", "host") for way in ("rx", "tx")) == PORTS
