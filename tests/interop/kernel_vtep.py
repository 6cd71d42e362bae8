"""The kernel's VXLAN device in the place of the VTEP: frames go in one at a time, and what comes of each is told."""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from crafted import DEVICE_MAC, LOCAL, OURS, PEER, PEER_MAC, REMOTE, UNDERLAY_MTU, VNI, VTEP_MAC, packet
from kernel_lab.offload import offloads_off
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from vtep_host.interfaces.packet_socket import PacketSocket
from vtep_sim.live.namespace import Namespace

WAIT = 10.0
SENTINEL = 0x88B5
"""EtherType of the frame that tells that the one before has been handled (IEEE 802: for experiments)."""


class KernelVtep:
    """A namespace with the VXLAN device, and one with the other end of its wire.

    ``device``: options of ``ip link add ... type vxlan`` beside VNI, port and own address.
    """

    def __init__(self, family: int, device: str) -> None:
        self.family = family
        self._spaces: list[Namespace] = []
        self._sockets: list[PacketSocket] = []
        self._count = 0
        try:
            self._build(device)
        except BaseException:
            self.close()
            raise

    def _build(self, device: str) -> None:
        vtep, wire = self._space(), self._space()
        vtep.run(
            f"ip link add name underlay address {VTEP_MAC} mtu {UNDERLAY_MTU} type veth "
            f"peer name wire address {PEER_MAC} mtu {UNDERLAY_MTU} netns {wire.path}"
        )
        wire.sysctl("net/ipv6/conf/wire/disable_ipv6", 1)
        for space, name in ((vtep, "underlay"), (wire, "wire")):
            with space:
                offloads_off(name)
            space.run(f"ip link set {name} up")
        for family, length in ((4, 24), (6, 64)):
            vtep.run(f"ip address add {OURS[family]}/{length} dev underlay")
            vtep.run(f"ip neighbor add {PEER[family]} lladdr {PEER_MAC} dev underlay nud permanent")
        vtep.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        # Without a device of the underlay, so that its own MTU may be above that.
        vtep.run(
            f"ip link add vx address {DEVICE_MAC} mtu 3000 type vxlan id {VNI} dstport 4789 local {OURS[self.family]} "
            f"srcport 49152 65535 nolearning {device}"
        )
        with vtep:
            offloads_off("vx")
        vtep.run("ip link set vx up")
        vtep.run(f"bridge fdb add {REMOTE} dev vx dst {PEER[self.family]}")
        vtep.run(f"bridge fdb append 00:00:00:00:00:00 dev vx dst {PEER[self.family]}")
        self._vx, self._wire = self._socket(vtep, "vx"), self._socket(wire, "wire")

    def _space(self) -> Namespace:
        space = Namespace()
        self._spaces.append(space)
        for scope in ("all", "default"):
            for name, value in (("addr_gen_mode", 1), ("accept_dad", 0), ("accept_ra", 0), ("router_solicitations", 0)):
                space.sysctl(f"net/ipv6/conf/{scope}/{name}", value)
            space.sysctl(f"net/ipv4/conf/{scope}/rp_filter", 0)
        space.run("ip link set lo up")
        return space

    def _socket(self, space: Namespace, name: str) -> PacketSocket:
        with space:
            made = PacketSocket(name)
        self._sockets.append(made)
        return made

    def close(self) -> None:
        """Let everything go."""
        for made in self._sockets:
            made.close()
        for space in self._spaces:
            space.close()

    def decapsulate(self, frame: bytes) -> list[bytes]:
        """Put a frame on the wire; the inner frames that come of it."""
        mark = self._mark()
        last = bytes(Ether(src=REMOTE, dst=LOCAL, type=SENTINEL) / Raw(mark))
        assert self._wire.send(frame)
        assert self._wire.send(packet(self.family, Raw(last)))
        return self._until(self._vx, lambda came: came == last)

    def encapsulate(self, frame: bytes) -> list[bytes]:
        """Give a tenant's frame to the device; the VXLAN packets that come of it."""
        mark = self._mark()
        assert self._vx.send(frame)
        assert self._vx.send(bytes(Ether(src=LOCAL, dst=REMOTE, type=SENTINEL) / Raw(mark)))
        came = self._until(self._wire, lambda seen: seen.endswith(mark))
        start = 14 + (20 if self.family == 4 else 40)
        return [seen for seen in came if seen[start + 2 : start + 4] == (4789).to_bytes(2)]

    def _mark(self) -> bytes:
        self._count += 1
        return b"sentinel" + self._count.to_bytes(8) + bytes(44)

    def _until(self, port: PacketSocket, is_last: Callable[[bytes], bool]) -> list[bytes]:
        frames: list[bytes] = []
        while True:
            frame = port.receive()
            if frame is None:
                ready, _, _ = select.select([port], [], [], WAIT)
                assert ready, "the kernel does not answer"
            elif is_last(frame):
                return frames
            else:
                frames.append(frame)


@contextmanager
def kernel_vtep(family: int, device: str) -> Iterator[KernelVtep]:
    """Make one, on one processor, so that frames keep their order on all devices."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    made = None
    try:
        made = KernelVtep(family, device)
        yield made
    finally:
        if made is not None:
            made.close()
        os.sched_setaffinity(0, before)


def names(frames: Sequence[bytes]) -> str:
    """Frames as text."""
    return ", ".join(frame.hex() for frame in frames) or "nothing"
