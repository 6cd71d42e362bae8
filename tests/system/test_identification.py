"""The IPv4 identification of a tunnel's packets, over its whole range: more packets than other simulations have."""

from itertools import cycle, islice

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from vtep.config import VtepParameters
from vtep_host.config import loads
from vtep_sim.golden import Frame
from vtep_sim.harness import Simulator

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
[[vni]]
id = 100
flood = ["may", "must-not"]
[[tunnel]]
name = "may"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"
df = "unset"
[[tunnel]]
name = "must-not"
remote = "10.0.0.3"
remote_mac = "02:00:00:00:00:03"
df = "set"
"""
COUNT = 65_536 + 300


@pytest.mark.slow
def test_identifications_run_over() -> None:
    frame = Frame(bytes.fromhex("525400000101525400000001") + bytes(48))
    with Simulator(VtepParameters()) as simulator:
        simulator.configure(loads(CONFIG))
        made = simulator.run(tenant=[frame] * COUNT).underlay
    assert len(made) == 2 * COUNT
    assert [outer.data[18:20] for outer in made[0::2]] == [
        number.to_bytes(2) for number in islice(cycle(range(65_536)), COUNT)
    ]
    assert {outer.data[18:20] for outer in made[1::2]} == {b"\0\0"}
    for outer in made[2 * 65_530 : 2 * 65_542 : 2]:
        head = Ether(outer.data)[IP]
        checksum = head.chksum
        del head.chksum
        assert IP(bytes(head)).chksum == checksum
