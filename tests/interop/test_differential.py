"""The same crafted frames into the kernel's VXLAN device and into the core: every difference is one that is listed."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from crafted import (
    OURS,
    PEER,
    PEER_MAC,
    REMOTE,
    RIGHT,
    UNDERLAY_MTU,
    VNI,
    VTEP_MAC,
    Case,
    decapsulation,
    encapsulation,
)
from differences import DECAPSULATION, ENCAPSULATION, Difference, Outcome
from kernel_vtep import kernel_vtep, names
from outer_fields import fields

from vtep.config import VtepParameters
from vtep_host.config import loads
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.harness import Simulator

pytestmark = pytest.mark.slow

SETTINGS = {
    "fixed": ('ttl = 64\ndscp = 0\ndf = "set"', {4: "ttl 64 tos 0 df set noudpcsum", 6: "ttl 64 tos 0"}),
    "inherit": (
        'ttl = "inherit"\ndscp = "inherit"\ndf = "inherit"',
        {4: "ttl inherit tos inherit df inherit udpcsum", 6: "ttl inherit tos inherit udp6zerocsumtx"},
    ),
}
"""Lines of the tunnel, and the options of the kernel's device which do the same."""
CHECKSUMS = {("fixed", 4): False, ("fixed", 6): True, ("inherit", 4): True, ("inherit", 6): False}


def config_of(family: int, setting: str) -> str:
    return f"""
[vtep]
mac = "{VTEP_MAC}"
ipv4 = "{OURS[4]}"
ipv6 = "{OURS[6]}"
underlay_mtu = {UNDERLAY_MTU}
reserved_bits = "strict"
[[vni]]
id = {VNI}
flood = ["peer"]
[[tunnel]]
name = "peer"
remote = "{PEER[family]}"
remote_mac = "{PEER_MAC}"
ecn = "linux"
udp_checksum = {str(CHECKSUMS[setting, family]).lower()}
{SETTINGS[setting][0]}
[[fdb]]
vni = {VNI}
mac = "{REMOTE}"
tunnel = "peer"
"""


class Core:
    """The core and the golden model, which must agree on every frame."""

    def __init__(self, simulator: Simulator, text: str) -> None:
        self.simulator = simulator
        simulator.reset()
        simulator.configure(loads(text))
        self.golden = GoldenModel(loads(text))

    def decapsulate(self, frame: bytes) -> tuple[list[bytes], bool]:
        result = self.simulator.run(underlay=[Frame(frame)])
        predicted = self.golden.run(underlay=[Frame(frame)])
        assert [made.data for made in result.tenant] == [made.data for made in predicted.tenant]
        assert [made.data for made in result.host] == [made.data for made in predicted.host]
        return [made.data for made in result.tenant], bool(result.host)

    def encapsulate(self, frame: bytes) -> list[bytes]:
        result = self.simulator.run(tenant=[Frame(frame)])
        predicted = self.golden.run(tenant=[Frame(frame)])
        assert [made.data for made in result.underlay] == [made.data for made in predicted.underlay_encap]
        return [made.data for made in result.underlay]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(VtepParameters()) as made:
        yield made


def judge(
    cases: Iterator[Case], run: Callable[[Case], Outcome], same: Callable[[Outcome], bool], listed: Sequence[Difference]
) -> None:
    """Run every case; what differs must be listed, and what is listed must occur."""
    unlisted: list[str] = []
    found: set[int] = set()
    count = 0
    for case in cases:
        count += 1
        outcome = run(case)
        if (case.group, case.value) == RIGHT:
            assert outcome.core, "the core takes what is right"
            assert outcome.kernel, "the kernel takes what is right"
        if same(outcome):
            continue
        rules = {number for number, rule in enumerate(listed) if rule.covers(case, outcome)}
        found |= rules
        if not rules:
            host = " (to the host port)" if outcome.to_host else ""
            unlisted.append(
                f"{case.name}\n  frame  {case.frame.hex()}\n  core   {names(outcome.core)}{host}\n"
                f"  kernel {names(outcome.kernel)}"
            )
    print(f"{count} frames, differences: {sorted({listed[number].name for number in found})}")
    assert not unlisted, f"{len(unlisted)} of {count}:\n" + "\n".join(unlisted[:400])
    stale = [f"{number}: {rule.name}" for number, rule in enumerate(listed) if number not in found]
    assert not stale, f"listed and never seen: {stale}"


@pytest.mark.parametrize("family", [4, 6])
def test_decapsulation(simulator: Simulator, family: int) -> None:
    core = Core(simulator, config_of(family, "fixed"))
    with kernel_vtep(family, SETTINGS["fixed"][1][family]) as kernel:

        def run(case: Case) -> Outcome:
            delivered, to_host = core.decapsulate(case.frame)
            return Outcome(delivered, kernel.decapsulate(case.frame), to_host)

        listed = [rule for rule in DECAPSULATION if family in rule.families]
        judge(decapsulation(family), run, lambda outcome: outcome.core == outcome.kernel, listed)


@pytest.mark.parametrize("setting", list(SETTINGS))
@pytest.mark.parametrize("family", [4, 6])
def test_encapsulation(simulator: Simulator, family: int, setting: str) -> None:
    core = Core(simulator, config_of(family, setting))
    with kernel_vtep(family, SETTINGS[setting][1][family]) as kernel:

        def run(case: Case) -> Outcome:
            return Outcome(core.encapsulate(case.frame), kernel.encapsulate(case.frame))

        def same(outcome: Outcome) -> bool:
            return [fields(made) for made in outcome.core] == [fields(made) for made in outcome.kernel]

        listed = [rule for rule in ENCAPSULATION if family in rule.families and setting in rule.settings]
        judge(encapsulation(), run, same, listed)
