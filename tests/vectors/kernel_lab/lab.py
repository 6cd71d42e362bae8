"""The laboratory of one capture: a veth pair, the kernel's VXLAN devices at both ends, tcpdump on each.

The ``local`` end is built from the capture's ``vtep.toml``: it is the endpoint whose place a VTEP with
that configuration can take. The ``remote`` end answers to every tunnel address of that file.
"""

import ipaddress
import signal
import subprocess
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from vtep_sim.live.namespace import Namespace

from .capture_file import Packet, read_pcap
from .offload import offloads_off

LOCAL_HOST_MAC = "52:54:00:00:00:01"
FLOOD_MAC = "00:00:00:00:00:00"
REMOTE_TENANT_MAC = "52:54:00:00:00:0a"

# Time for what devices say by themselves when they come up (MLD and IGMP reports) to be over.
SETTLE_SECONDS = 1.6
START_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Segment:
    """One VNI of the laboratory: the device's name at both ends, and the tenants' addresses."""

    vni: int
    vlan: int
    device: str
    family: int
    local4: str
    remote4: str
    local6: str
    remote6: str


def _device_options(config: dict[str, Any], tunnel: dict[str, Any]) -> str:
    """Options of a kernel VXLAN device which make it send as SPEC.md says of the tunnel.

    The kernel's ECN mode is fixed: what SPEC.md calls "linux".
    """
    vtep = config["vtep"]
    base, bits = vtep.get("source_port_base", 49152), vtep.get("source_port_bits", 14)
    dscp = tunnel.get("dscp", 0)
    version = ipaddress.ip_address(tunnel["remote"]).version
    options = [
        f"dstport {vtep.get('udp_port', 4789)} srcport {base} {base + 2**bits - 1} nolearning",
        f"ttl {tunnel.get('ttl', 64)} tos {dscp if dscp == 'inherit' else dscp << 2}",
    ]
    if version == 4:
        options.append(f"df {tunnel.get('df', 'set')}")
        options.append("udpcsum" if tunnel.get("udp_checksum", False) else "noudpcsum")
    else:
        options.append("noudp6zerocsumtx" if tunnel.get("udp_checksum", True) else "udp6zerocsumtx")
        options.append("udp6zerocsumrx" if vtep.get("udp6_zero_checksum_rx", False) else "noudp6zerocsumrx")
    return " ".join(options)


class Lab:
    """Namespaces, devices and captures of one ``vtep.toml``. Use it as a context manager."""

    def __init__(self, config_path: Path) -> None:
        self.config: dict[str, Any] = tomllib.loads(config_path.read_text(encoding="utf-8"))
        self.tunnels: dict[str, dict[str, Any]] = {tunnel["name"]: tunnel for tunnel in self.config["tunnel"]}
        self.segments: list[Segment] = []
        self.local = Namespace()
        self.remote = Namespace()
        self._processes: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="vtep-vectors-")

    def __enter__(self) -> "Lab":
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the captures and let the namespaces go, with all that is in them."""
        for _, process, _ in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()
        self._folder.cleanup()
        self.local.close()
        self.remote.close()

    def _build(self) -> None:
        vtep = self.config["vtep"]
        for space in (self.local, self.remote):
            for scope in ("all", "default"):
                base = f"net/ipv6/conf/{scope}"
                space.sysctl(f"{base}/addr_gen_mode", 1)
                for name in ("accept_dad", "accept_ra", "router_solicitations"):
                    space.sysctl(f"{base}/{name}", 0)
            space.run("ip link set lo up")
        remote_mac = next(
            t["remote_mac"] for t in self.config["tunnel"] if not ipaddress.ip_address(t["remote"]).is_multicast
        )
        mtu = vtep.get("underlay_mtu", 1500)
        # The peer's namespace is given by a path: it has no name.
        self.local.run(
            f"ip link add underlay address {vtep['mac']} mtu {mtu} type veth"
            f" peer name underlay address {remote_mac} mtu {mtu} netns {self.remote.path}"
        )
        self._bring_up(self.local, "underlay", [vtep["ipv4"], vtep.get("ipv6")])
        unicast = [t["remote"] for t in self.config["tunnel"] if not ipaddress.ip_address(t["remote"]).is_multicast]
        self._bring_up(self.remote, "underlay", unicast)
        for index, vni in enumerate(self.config["vni"]):
            self._add_segment(index, vni)
        time.sleep(SETTLE_SECONDS)

    def _bring_up(self, space: Namespace, device: str, addresses: list[str | None]) -> None:
        with space:
            offloads_off(device)
        for address in filter(None, addresses):
            length = 64 if ":" in address else 24
            space.run(f"ip address add {address}/{length} dev {device}")
        space.run(f"ip link set {device} up")

    def _add_segment(self, index: int, vni: dict[str, Any]) -> None:
        vtep = self.config["vtep"]
        entries = [e for e in self.config.get("fdb", []) if e["vni"] == vni["id"]]
        flood = [self.tunnels[name] for name in vni["flood"]]
        first = flood[0]
        family = ipaddress.ip_address(first["remote"]).version
        own = vtep["ipv4"] if family == 4 else vtep["ipv6"]
        inner_mtu = vtep.get("underlay_mtu", 1500) - (50 if family == 4 else 70)
        device = f"vx{vni['id']}"
        options = _device_options(self.config, first)
        group = next((t["remote"] for t in flood if ipaddress.ip_address(t["remote"]).is_multicast), None)
        joined = f"group {group} dev underlay" if group else ""
        # A reply must come from a unicast tunnel address: the first that the FDB names, else the flood list's.
        peer = self.tunnels[entries[0]["tunnel"]]["remote"] if entries else first["remote"]

        for space, source, mac in ((self.local, own, LOCAL_HOST_MAC), (self.remote, peer, REMOTE_TENANT_MAC)):
            space.run(
                f"ip link add {device} address {mac} mtu {inner_mtu}"
                f" type vxlan id {vni['id']} local {source} {joined} {options}"
            )
        if not group:
            # The kernel sends the first copy last: with the last tunnel in front, copies leave in the configured order.
            for tunnel in [flood[-1], *flood[:-1]]:
                self.local.run(f"bridge fdb append {FLOOD_MAC} dev {device} dst {tunnel['remote']}")
            self.remote.run(f"bridge fdb append {FLOOD_MAC} dev {device} dst {own}")
        for entry in entries:
            self.local.run(f"bridge fdb add {entry['mac']} dev {device} dst {self.tunnels[entry['tunnel']]['remote']}")
        self.remote.run(f"bridge fdb add {LOCAL_HOST_MAC} dev {device} dst {own}")
        segment = Segment(
            vni=vni["id"],
            vlan=vni.get("vlan", 0),
            device=device,
            family=family,
            local4=f"198.18.{index}.1",
            remote4=f"198.18.{index}.10",
            local6=f"2001:db8:0:{index}::1",
            remote6=f"2001:db8:0:{index}::10",
        )
        self._bring_up(self.local, device, [segment.local4, segment.local6])
        self._bring_up(self.remote, device, [segment.remote4, segment.remote6])
        self.segments.append(segment)

    def start_captures(self) -> None:
        """Start tcpdump on the local end: underlay and every VXLAN device, each direction for itself."""
        for device in ["underlay", *(segment.device for segment in self.segments)]:
            for direction in ("in", "out"):
                name = f"{device}-{direction}"
                path = Path(self._folder.name, f"{name}.pcap")
                command = ["tcpdump", "-i", device, "-Q", direction, "-n", "-U", "--immediate-mode"]
                # Without -Z it changes its user, which takes the death signal away that start() asked for.
                command += ["--time-stamp-precision=nano", "-Z", "root", "-w", "-"]
                with path.open("wb") as out, path.with_suffix(".log").open("wb") as log:
                    process = self.local.start(command, out, log)
                self._processes.append((name, process, path))
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        for name, process, path in self._processes:
            log_path = path.with_suffix(".log")
            while "listening on" not in log_path.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"tcpdump on {name} does not start: {log_path.read_text().strip()}")
                time.sleep(0.02)
        # What came up before may have resolved addresses already: let the captures show it.
        for space in (self.local, self.remote):
            space.run("ip neighbor flush all")

    def stop_captures(self) -> dict[str, list[Packet]]:
        """End the captures; frames by port: ``underlay-in``, ``underlay-out``, ``tenant-in``, ``tenant-out``.

        The names are the VTEP's view: ``tenant-in`` is what the tenants gave to the VXLAN devices. Where
        a VNI has a ``vlan``, its frames get that 802.1Q tag (PCP 0), as on the trunk of a VTEP, and the frames of all
        VNIs are merged by their stamps.
        """
        time.sleep(0.3)
        captured: dict[str, list[Packet]] = {}
        for name, process, path in self._processes:
            process.send_signal(signal.SIGINT)
            process.wait()
            log = path.with_suffix(".log").read_text()
            if "\n0 packets dropped by kernel" not in log:
                raise SystemExit(f"tcpdump on {name} lost frames: {log}")
            captured[name] = read_pcap(path)
        self._processes.clear()
        ports = {f"underlay-{direction}": captured[f"underlay-{direction}"] for direction in ("in", "out")}
        # What a device receives ("in") is what the VTEP delivers to its tenants ("out"), and the reverse.
        for direction, port in (("out", "tenant-in"), ("in", "tenant-out")):
            frames = [
                Packet(packet.time, _tagged(packet.data, segment.vlan))
                for segment in self.segments
                for packet in captured[f"{segment.device}-{direction}"]
            ]
            ports[port] = sorted(frames, key=lambda packet: packet.time)
        return ports


def _tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + frame[12:] if vlan else frame
