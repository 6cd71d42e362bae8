"""The local stack live: on the host port of a running core it answers the kernel, and learns from its answers.

The core is Verilated and joined to TAP devices by `vtep-sim live`. The stack runs in Amaranth's simulator, and a packet
socket at the host port's device carries frames between the two; that device has no address, so nobody else answers.
"""

import random
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from kernel_peer import OURS, PEER, PEER_MAC, VTEP_MAC, Setting

from helpers.local_bench import Stack, neighbor, number
from vtep.local.neighbors import State
from vtep_host.interfaces.packet_socket import PacketSocket
from vtep_sim.live.lab import LiveLab

IDLE_CLOCKS = 100
"""Clocks that the stack runs on where no frame is there."""
WAIT = 120.0
SIZES = (0, 1, 56, 57, 1000, 1391)
"""Bytes of echo requests behind their ICMP header; with the last one they are as long as the stack takes."""
TRAFFIC_CLASS = 0xB8


def echo_socket(family: int) -> socket.socket:
    """A socket of ICMP echo: the kernel sets identifier and checksum, and checks those of what comes back."""
    kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}
    kind, protocol = kinds[family]
    made = socket.socket(kind, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
    if family == 4:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TRAFFIC_CLASS)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, TRAFFIC_CLASS)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    return made


def received(ends: socket.socket) -> tuple[bytes, int] | None:
    """An answer without identifier and checksum, and its traffic class; None where there is none yet."""
    try:
        content, extra, _, _ = ends.recvmsg(1 << 16, 256)
    except BlockingIOError:
        return None
    return content[:2] + content[6:], extra[0][2][0]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vtep.toml"
    path.write_text(Setting().toml())
    return path


def bring_up(lab: LiveLab) -> None:
    """Addresses at the peer; at the host port a device that says nothing by itself."""
    lab.host.sysctl("net/ipv6/conf/host/disable_ipv6", 1)
    lab.host.run("ip link set host up")
    lab.peer.run(f"ip link set underlay address {PEER_MAC} up")
    lab.peer.run(f"ip address add {PEER[4]}/24 dev underlay")
    lab.peer.run(f"ip address add {PEER[6]}/64 dev underlay")


@pytest.mark.slow
def test_the_kernel_is_answered_and_resolved(rng: random.Random, config: Path) -> None:
    stack = Stack(rng, initial=[neighbor(PEER[4]), neighbor(PEER[6])], neighbors=2, reachable_seconds=63)
    sent: list[bytes] = []
    with ExitStack() as cleanup:
        lab = cleanup.enter_context(LiveLab(config, ports=("underlay", "host")))
        bring_up(lab)
        with lab.host:
            port = cleanup.enter_context(closing(PacketSocket("host")))
        lab.peer.sysctl("net/ipv4/ping_group_range", "0 0")
        with lab.peer:
            pinging = {family: cleanup.enter_context(echo_socket(family)) for family in OURS}

        async def turn(ctx) -> None:
            """Bring a frame, or wait a little; send what the stack has to say."""
            frame = port.receive()
            if frame:
                await stack.ask(ctx, frame)
            else:
                await ctx.tick().repeat(IDLE_CLOCKS)
                time.sleep(0.001)
            while len(sent) < len(stack.sent):
                sent.append(stack.sent[len(sent)])
                assert port.send(sent[-1])

        async def bench(ctx) -> None:
            end = time.monotonic() + WAIT
            while time.monotonic() < end and stack.events["resolved"] < 2:
                await turn(ctx)
            assert [await stack.state(ctx, index) for index in range(2)] == [State.REACHABLE] * 2
            assert sorted(stack.published[-2:]) == [(0, 1, number(PEER_MAC)), (1, 1, number(PEER_MAC))]
            # What our requests taught the kernel is forgotten, so that it has to ask for itself.
            for family in OURS:
                lab.peer.run(f"ip -{family} neighbor flush dev underlay")
            for sequence, size in enumerate(SIZES):
                content = sequence.to_bytes(2, "big") + rng.randbytes(size)
                for family, ends in pinging.items():
                    ask, answer = (8, 0) if family == 4 else (128, 129)
                    ends.sendto(bytes([ask, 0, 0, 0, 0, 0]) + content, (OURS[family], 0))
                    end = time.monotonic() + WAIT
                    while (came := received(ends)) is None and time.monotonic() < end:
                        await turn(ctx)
                    assert came == (bytes([answer, 0]) + content, TRAFFIC_CLASS), (family, size)

        stack.run(bench, {"mac": number(VTEP_MAC), "ipv4": number(OURS[4]), "ipv6": number(OURS[6])})
        for family in (4, 6):
            known = lab.peer.run(f"ip -{family} neighbor show {OURS[family]} dev underlay")
            assert f"lladdr {VTEP_MAC}" in known
            assert "FAILED" not in known
        counters = lab.stop()["counters"]
    events = stack.events
    assert events["echo_reply"] == len(OURS) * len(SIZES)
    assert events["arp_reply"]
    assert events["neighbor_advertisement"]
    assert not events["malformed"] + events["checksum"] + events["no_room"] + events["marked"]
    # All of it went through the core; the kernel may have asked once more since.
    assert counters["host_tx_frames"] >= stack.done >= len(sent) - 2
    assert counters["host_rx_frames"] == counters["underlay_tx_frames"] == len(sent)
