"""A live core whose peer is the kernel's VXLAN device, with raw frames at both ends, judged by the golden model."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtep_host.config import load
from vtep_host.interfaces.packet_socket import PacketSocket
from vtep_sim.captures import read_capture
from vtep_sim.compare import compare_counters, compare_frames
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.live.lab import LiveLab
from vtep_sim.live.namespace import Namespace

VTEP_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
LOCAL_MACS, REMOTE_MACS = bytes.fromhex("525400000001")[:5], bytes.fromhex("525400000102")[:5]
"""What the MAC addresses of tenants on our side begin with, and of those behind the kernel."""
OURS, PEER = {4: "10.0.0.1", 6: "fd00::1"}, {4: "10.0.0.2", 6: "fd00::2"}
WAIT = 20.0
WINDOW = 48
UNDERLAY_MTU = 1600
INNER_MTU = {4: UNDERLAY_MTU - 50, 6: UNDERLAY_MTU - 70}


def local_mac(number: int) -> bytes:
    """MAC of a tenant on our side."""
    return LOCAL_MACS + bytes([number])


def remote_mac(number: int) -> bytes:
    """MAC of a tenant behind the kernel."""
    return REMOTE_MACS + bytes([number])


@dataclass(frozen=True)
class Segment:
    """A VNI: the VID that its frames have at our tenant port (0: none), and more options of the kernel's device."""

    vni: int = 100
    vlan: int = 0
    device_options: str = ""


@dataclass(frozen=True)
class Setting:
    """What core and kernel are set to.

    ``tunnel`` and ``vtep`` are further lines of the configuration's tables, ``device`` further options of the kernel's
    devices, ``options`` further ones of `vtep-sim live`. ``remote``: of the tunnel, where it is not the peer's address.
    """

    family: int = 4
    port: int = 4789
    udp_checksum: bool = False
    segments: Sequence[Segment] = (Segment(),)
    tunnel: str = ""
    vtep: str = ""
    device: str = ""
    options: Sequence[str] = ()
    remote: str = ""
    tunnel_mac: str = PEER_MAC
    flood: Sequence[str] = ("peer",)
    more: str = ""
    ports: Sequence[str] = ("tenant", "underlay")

    def toml(self) -> str:
        """The configuration of the core."""
        vnis = "\n".join(
            f"[[vni]]\nid = {segment.vni}\nvlan = {segment.vlan}\nflood = {list(self.flood)}".replace("'", '"')
            for segment in self.segments
        )
        zero = str(self.family == 6 and not self.udp_checksum).lower()
        return f"""
[vtep]
mac = "{VTEP_MAC}"
ipv4 = "{OURS[4]}"
ipv6 = "{OURS[6]}"
underlay_mtu = {UNDERLAY_MTU}
udp_port = {self.port}
udp6_zero_checksum_rx = {zero}
{self.vtep}
{vnis}
[[tunnel]]
name = "peer"
remote = "{self.remote or PEER[self.family]}"
remote_mac = "{self.tunnel_mac}"
udp_checksum = {str(self.udp_checksum).lower()}
{self.tunnel}
{self.more}
"""

    def device_command(self, segment: Segment) -> str:
        """``ip`` command that makes the kernel's device."""
        ends = f"remote {OURS[self.family]} dev underlay nolearning"
        return self.other_device_command(segment, f"{ends} {self.device} {segment.device_options}")

    def other_device_command(self, segment: Segment, options: str) -> str:
        """``ip`` command that makes a device of the same family, port and checksums, with these options."""
        if self.family == 4:
            checksums = "udpcsum" if self.udp_checksum else "noudpcsum"
        else:
            checksums = "" if self.udp_checksum else "udp6zerocsumtx udp6zerocsumrx"
        name = f"vx{segment.vni} type vxlan id {segment.vni}"
        return f"ip link add {name} dstport {self.port} local {PEER[self.family]} {checksums} {options}"


class Bench:
    """A live core and raw sockets: ``tenant`` at ours, ``remote`` (by VNI) at the kernel's VXLAN devices.

    ``wire``: at the peer's interface of the underlay. ``report`` is there when the bench has ended.
    """

    def __init__(self, lab: LiveLab, setting: Setting, stack: ExitStack) -> None:
        self.lab = lab
        self.report: dict[str, Any] = {}
        self._setting = setting
        self._stack = stack
        self.tenant = self.opened(lab.tenant, "tenant")
        self.remote = {segment.vni: self.opened(lab.peer, f"vx{segment.vni}") for segment in setting.segments}
        self.wire = self.opened(lab.peer, "underlay")

    def opened(self, space: Namespace, name: str) -> PacketSocket:
        """Open a raw socket at a device."""
        with space:
            made = PacketSocket(name)
        self._stack.callback(made.close)
        return made

    def replace_device(self, options: str) -> None:
        """Give the peer another device for the first VNI, with these options of ``ip link add ... type vxlan``."""
        segment = self._setting.segments[0]
        for command in (
            f"ip link del vx{segment.vni}",
            self._setting.other_device_command(segment, options),
            f"ip link set vx{segment.vni} up",
        ):
            self.lab.peer.run(command)
        self.remote[segment.vni] = self.opened(self.lab.peer, f"vx{segment.vni}")


@contextmanager
def kernel_bench(setting: Setting, folder: Path) -> Iterator[Bench]:
    """Run a bench; in the end every frame and every counter of the core must be as the golden model says."""
    config = folder / "vtep.toml"
    config.write_text(setting.toml())
    captures = {port: folder / f"{port}.pcap" for port in setting.ports}
    options = [part for port, path in captures.items() for part in (f"--{port}-capture", str(path))]
    with ExitStack() as stack:
        lab = stack.enter_context(LiveLab(config, [*options, *setting.options], ports=setting.ports))
        _set_up(lab, setting)
        bench = Bench(lab, setting, stack)
        yield bench
        bench.report = lab.stop()
        found = judged(config, captures, bench.report)
        assert not found, "\n".join(found)


def _set_up(lab: LiveLab, setting: Setting) -> None:
    peer = lab.peer
    for space in (lab.tenant, peer):
        space.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    lab.tenant.sysctl("net/ipv6/conf/tenant/disable_ipv6", 1)
    lab.tenant.run("ip link set tenant up")
    peer.run(f"ip link set underlay address {PEER_MAC} up")
    peer.run(f"ip address add {PEER[4]}/24 dev underlay")
    peer.run(f"ip address add {PEER[6]}/64 dev underlay")
    for address in OURS.values():
        peer.run(f"ip neighbor add {address} lladdr {VTEP_MAC} dev underlay nud permanent")
    if "host" in setting.ports:
        lab.host.run("ip link set host up")
        lab.host.run(f"ip address add {OURS[4]}/24 dev host")
        lab.host.run(f"ip address add {OURS[6]}/64 dev host")
    for segment in setting.segments:
        peer.run(setting.device_command(segment))
        peer.run(f"ip link set vx{segment.vni} up")


def taken(port: PacketSocket, count: int, *, begins: bytes, wait: float = WAIT) -> list[bytes]:
    """Take ``count`` frames whose source MAC begins so; fewer where no more come in time."""
    frames: list[bytes] = []
    end = time.monotonic() + wait
    while len(frames) < count and time.monotonic() < end:
        frame = port.receive()
        if frame is None:
            time.sleep(0.001)
        elif frame[6 : 6 + len(begins)] == begins:
            frames.append(frame)
            end = time.monotonic() + wait
    return frames


def carried(source: PacketSocket, target: PacketSocket, frames: Sequence[bytes], *, begins: bytes) -> list[bytes]:
    """Send frames, a window at a time, and take as many at the other end."""
    arrived: list[bytes] = []
    for start in range(0, len(frames), WINDOW):
        window = frames[start : start + WINDOW]
        for frame in window:
            assert source.send(frame), frame.hex()
        came = taken(target, len(window), begins=begins)
        arrived += came
        if len(came) < len(window):
            break
    return arrived


def judged(config_path: Path, captures: dict[str, Path], report: dict[str, Any]) -> list[str]:
    """Compare what passed the core with the golden model: the differences, line by line."""
    config = load(config_path)
    vtep = bytes.fromhex(VTEP_MAC.replace(":", ""))
    # A capture holds both directions of its port; the source MAC tells which.
    enters = {
        "tenant": lambda mac: mac.startswith(LOCAL_MACS),
        "underlay": lambda mac: mac != vtep,
        "host": lambda mac: mac == vtep,
    }
    inputs: dict[str, list[Frame]] = {port: [] for port in enters}
    outputs: dict[str, list[Frame]] = {port: [] for port in enters}
    for port, path in captures.items():
        for captured in read_capture(path).frames:
            entered = enters[port](captured.data[6:12])
            (inputs if entered else outputs)[port].append(Frame(captured.data))
    counts = report["ports"]
    for port in captures:
        assert len(inputs[port]) == counts[port]["frames_in"], port
    if "host" not in captures:  # what left there was given to nobody
        outputs.pop("host")
    prediction = GoldenModel(config).run(**inputs)
    expected_host = prediction.host
    if "host" not in captures:
        assert counts["host"]["refused"] == len(expected_host)
        outputs["host"] = expected_host
    lines = []
    for difference in compare_frames(outputs, prediction, encap_cut_through=False, decap_cut_through=False):
        lines += difference.lines(config.vtep.udp_port, lambda port, index: f"{port} in, frame {index}")
    return lines + compare_counters(report["counters"], prediction.counters, outputs)
