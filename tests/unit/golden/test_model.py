"""The golden model as a whole: ports, counters, round trips, and every reason reached."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_host.config import Config
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.golden.model import OUTPUTS, REASONS

from .wire import (
    BROADCAST,
    CONFIG,
    GROUP4,
    HOST_A,
    HOST_B,
    INNER,
    LEAF4,
    LEAF6,
    OWN4,
    VTEP_MAC,
    ethernet,
    ipv4,
    ipv6,
    tag,
    udp,
    underlay4,
    underlay6,
    vxlan,
    with_vtep,
)

# One frame for each reason, in SPEC.md's order: the port, the frame.
ONE_OF_EACH = {
    "tenant_runt": ("tenant", Frame(bytes(13))),
    "tenant_oversize": ("tenant", Frame(bytes(9601))),
    "tenant_error": ("tenant", Frame(INNER, error=True)),
    "no_vni": ("tenant", Frame(ethernet(0x88B5, tags=tag(99)))),
    "no_tunnel": ("tenant", Frame(ethernet(0x88B5, tags=tag(30), destination=BROADCAST))),
    "mtu": ("tenant", Frame(INNER.ljust(1465, b"x"))),
    "underlay_runt": ("underlay", Frame(bytes(13))),
    "underlay_oversize": ("underlay", Frame(bytes(9601))),
    "underlay_error": ("underlay", Frame(underlay4(udp(vxlan(INNER))), error=True)),
    "not_mine": ("underlay", Frame(bytes(60))),
    "ip_header": ("underlay", Frame(underlay4(b"", version=5))),
    "ip_checksum": ("underlay", Frame(underlay4(b"", checksum=0))),
    "ip_length": ("underlay", Frame(underlay4(b"", length=21))),
    "fragment": ("underlay", Frame(underlay4(b"", flags=0x2000))),
    "udp_length": ("underlay", Frame(underlay4(b""))),
    "udp_checksum": ("underlay", Frame(underlay6(udp(vxlan(INNER))))),
    "vxlan_flags": ("underlay", Frame(underlay4(udp(vxlan(INNER, flags=0))))),
    "vxlan_reserved": ("underlay", Frame(underlay4(udp(vxlan(INNER, reserved2=1))))),
    "unknown_vni": ("underlay", Frame(underlay4(udp(vxlan(INNER, vni=1))))),
    "inner_runt": ("underlay", Frame(underlay4(udp(vxlan(b""))))),
    "inner_vlan": ("underlay", Frame(underlay4(udp(vxlan(ethernet(0x88B5, tags=tag(1)), vni=300))))),
    "ecn": ("underlay", Frame(underlay4(udp(vxlan(ethernet(0x0800, ipv4()))), tos=3))),
}
STRICT = replace(
    with_vtep(reserved_bits="strict"), vnis=(replace(CONFIG.vnis[0], inner_vlan="discard"), *CONFIG.vnis[1:])
)


@pytest.mark.parametrize("cut_through", [False, True])
def test_every_reason_is_reached(cut_through: bool) -> None:
    assert list(ONE_OF_EACH) == list(REASONS)
    model = GoldenModel(STRICT, encap_cut_through=cut_through, decap_cut_through=cut_through)
    tenant = [frame for port, frame in ONE_OF_EACH.values() if port == "tenant"]
    underlay = [frame for port, frame in ONE_OF_EACH.values() if port == "underlay"]
    for times in (1, 2):
        prediction = model.run(tenant=tenant, underlay=underlay)
        assert {name: prediction.counters[name] for name in REASONS} == dict.fromkeys(REASONS, times)
        assert [reason for _, _, reason in prediction.drops] == [name for name in REASONS if name != "fragment"]
        assert prediction.host == [ONE_OF_EACH["fragment"][1]]
        assert not prediction.tenant + prediction.underlay_encap + prediction.underlay_host


def test_no_counter_is_without_name() -> None:
    """All counters are there from the start, at 0."""
    counters = GoldenModel(CONFIG).run().counters
    names = [*REASONS]
    ports = ("tenant_rx", "tenant_tx", "underlay_rx", "underlay_tx", "host_rx", "host_tx")
    names += [f"{port}_{unit}" for port in ports for unit in ("frames", "bytes")]
    owners = [f"vni.{vni.id}" for vni in CONFIG.vnis] + [f"tunnel.{tunnel.name}" for tunnel in CONFIG.tunnels]
    names += [f"{owner}.{way}_{unit}" for owner in owners for way in ("encap", "decap") for unit in ("frames", "bytes")]
    assert counters == dict.fromkeys(names, 0)
    assert list(counters) == names


def test_host_frames_leave_unchanged() -> None:
    frames = [Frame(b"\1"), Frame(bytes(10000)), Frame(INNER, error=True), Frame(INNER)]
    prediction = GoldenModel(CONFIG).run(host=frames)
    assert prediction.underlay_host == frames
    assert prediction.origins["underlay_host"] == [("host", index) for index in range(4)]
    size = 1 + 10000 + 2 * len(INNER)
    expected = {"host_rx_frames": 4, "host_rx_bytes": size, "underlay_tx_frames": 4, "underlay_tx_bytes": size}
    assert {name: value for name, value in prediction.counters.items() if value} == expected


def test_origins_and_a_second_run() -> None:
    flood = ethernet(0x88B5, destination=BROADCAST)
    tenant = [Frame(INNER), Frame(b""), Frame(flood)]
    underlay = [Frame(underlay4(udp(), protocol=1)), Frame(bytes(60)), Frame(underlay4(udp(vxlan(INNER))))]
    model = GoldenModel(CONFIG)
    for times in (1, 2):
        prediction = model.run(tenant, underlay, [Frame(INNER)])
        assert prediction.origins == {
            "tenant": [("underlay", 2)],
            "host": [("underlay", 0)],
            "underlay_encap": [("tenant", 0), ("tenant", 2), ("tenant", 2)],
            "underlay_host": [("host", 0)],
        }
        assert prediction.drops == [("tenant", 1, "tenant_runt"), ("underlay", 1, "not_mine")]
        assert prediction.counters["underlay_tx_frames"] == 4 * times
        assert prediction.counters["tenant_rx_frames"] == 3 * times


def test_next_hops_are_not_the_models_matter() -> None:
    tunnels = tuple(replace(tunnel, remote_mac=None, next_hop=tunnel.remote) for tunnel in CONFIG.tunnels)
    with pytest.raises(ValueError, match=r"tunnel '.*' has no remote_mac, and the model does not resolve next hops"):
        GoldenModel(replace(CONFIG, tunnels=tunnels)).run(tenant=[Frame(INNER)])


def other_end(config: Config, tunnel: str) -> Config:
    """Return the configuration of the VTEP behind ``tunnel``: its own addresses are those of the leaves."""
    remotes = {tunnel.name: tunnel.remote for tunnel in config.tunnels}
    ipv4 = remotes[tunnel] if remotes[tunnel] == LEAF4 else LEAF4
    vtep = replace(
        config.vtep, mac=next(t.remote_mac for t in config.tunnels if t.name == tunnel), ipv4=ipv4, ipv6=LEAF6
    )
    return replace(config, vtep=vtep)


INNER_FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: ethernet(0x88B5, data)),
    st.builds(
        lambda data, tos, ttl, tags, protocol, flags: ethernet(
            0x0800, ipv4(data, tos=tos, ttl=ttl, protocol=protocol, flags=flags), tags=tags
        ),
        st.binary(max_size=300),
        st.integers(0, 255),
        st.integers(0, 255),
        st.sampled_from([b"", tag(20), tag(30), tag(0), tag(20) + tag(5), tag(77, 0x88A8)]),
        st.sampled_from([1, 6, 17, 132]),
        st.sampled_from([0, 0x4000, 0x2000, 0x0001]),
    ),
    st.builds(
        lambda data, tos, hop_limit, tags: ethernet(
            0x86DD, ipv6(data, traffic_class=tos, hop_limit=hop_limit), tags=tags
        ),
        st.binary(max_size=300),
        st.integers(0, 255),
        st.integers(0, 255),
        st.sampled_from([b"", tag(20), tag(20) + tag(5, 0x88A8)]),
    ),
)
MODES = st.fixed_dictionaries(
    {
        "ttl": st.sampled_from([1, 64, "inherit"]),
        "dscp": st.sampled_from([0, 46, "inherit"]),
        "ecn": st.sampled_from(["copy", "zero", "linux"]),
        "df": st.sampled_from(["set", "unset", "inherit"]),
        "udp_checksum": st.booleans(),
        "vlan": st.sampled_from([0, 1, 4094]),
    }
)


@given(
    st.lists(
        st.tuples(INNER_FRAMES, st.sampled_from([HOST_A, HOST_B, BROADCAST, bytes.fromhex("52540000000c")])), max_size=6
    ),
    MODES,
    st.booleans(),
)
def test_round_trip(frames: list[tuple[bytes, bytes]], modes: dict[str, object], strict: bool) -> None:
    """What one VTEP sends, the VTEP behind the tunnel delivers as it was."""
    config = replace(
        with_vtep(reserved_bits="strict" if strict else "ignore", udp6_zero_checksum_rx=not modes["udp_checksum"]),
        tunnels=tuple(replace(tunnel, **modes) for tunnel in CONFIG.tunnels),
    )
    tenant = [Frame(mac + frame[6:]) for frame, mac in frames]
    sent = GoldenModel(config).run(tenant=tenant)
    assert {reason for _, _, reason in sent.drops} <= {"no_vni", "no_tunnel"}
    counted = sent.counters
    assert sum(counted[f"tunnel.{t.name}.encap_frames"] for t in config.tunnels) == len(sent.underlay_encap)
    for copy, (_, index) in zip(sent.underlay_encap, sent.origins["underlay_encap"], strict=True):
        macs = {bytes(t.remote_mac): t.name for t in config.tunnels if t.name != "leaf6"}
        end = other_end(config, macs[copy.data[:6]])
        received = GoldenModel(end).run(underlay=[copy])
        # VNI 300 discards tags behind its own.
        if received.drops:
            assert received.drops == [("underlay", 0, "inner_vlan")]
            assert tenant[index].data[12:16] == tag(30)
            continue
        # A priority tag, and the PCP of the VNI's own tag, which is 0 here, come through.
        assert received.tenant == [Frame(tenant[index].data)]


@given(st.binary(min_size=14, max_size=100))
def test_groups_are_received_by_all(inner: bytes) -> None:
    config = other_end(CONFIG, "group4")
    for frame in (
        underlay4(udp(vxlan(inner)), source=OWN4, destination=GROUP4, destination_mac=bytes.fromhex("01005e010101")),
        underlay4(udp(vxlan(inner)), source=OWN4, destination=LEAF4, destination_mac=bytes.fromhex("01005e010101")),
    ):
        assert GoldenModel(config).run(underlay=[Frame(frame)]).tenant == [Frame(inner)]


def test_nothing_is_lost(rng: random.Random) -> None:
    """Random frames at every port: each comes out, or one drop is counted for it, or a copy of each tunnel's."""
    heads = [VTEP_MAC, BROADCAST, HOST_A, HOST_B]
    types = [b"\x08\0", b"\x86\xdd", b"\x81\0\0\x14\x08\0", b"\x81\0\0\x1e\x86\xdd", b""]
    frames = [
        Frame(
            rng.choice(heads)
            + HOST_B
            + rng.choice(types)
            + rng.choice([b"\x45\0", b"\x60", b""])
            + rng.randbytes(rng.randrange(80)),
            error=rng.random() < 0.05,
        )
        for _ in range(500)
    ]
    prediction = GoldenModel(CONFIG).run(frames, frames, frames)
    fates = [origin for output in OUTPUTS for origin in prediction.origins[output]]
    fates += [(port, index) for port, index, _ in prediction.drops]
    assert set(fates) == {(port, index) for port in ("tenant", "underlay", "host") for index in range(500)}
    for port in ("underlay", "host"):
        assert sum(origin[0] == port for origin in fates) == 500
    counters = prediction.counters
    assert len(prediction.drops) == sum(counters[name] for name in REASONS if name != "fragment")
    for output, name in (("tenant", "tenant_tx"), ("host", "host_tx")):
        assert counters[f"{name}_bytes"] == sum(len(frame.data) for frame in getattr(prediction, output))
    assert counters["tenant_rx_bytes"] == sum(len(frame.data) for frame in frames)
