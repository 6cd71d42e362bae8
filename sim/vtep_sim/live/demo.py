"""The live demonstration: tenants reach each other through the simulated core and the VXLAN device of the kernel.

::

    tenant namespace          core                       peer namespace
    tenant (VNI 100) ---- encapsulation  ---- underlay --- vx100
      tenant.20 (VNI 200) decapsulation               +--- vx200
                              host port --- host namespace: the VTEP's own addresses

Once over an IPv4 underlay, once over IPv6.
"""

import hashlib
import json
import os
import re
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .lab import CommandError, LiveLab
from .namespace import Namespace

__all__ = ["TOOLS", "Step", "live_demo"]

TOOLS = {"ping": "iputils-ping", "iperf3": "iperf3"}
"""Commands that the demonstration needs, with their Debian packages."""

UNDERLAY_MTU = 9216
INNER_MTU = UNDERLAY_MTU - 70
"""Of the tenants: an IPv6 underlay takes 70 bytes of a packet."""
OURS, PEER = {4: "10.0.0.1", 6: "fd00::1"}, {4: "10.0.0.2", 6: "fd00::2"}
VLAN = 20
CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "{ours[4]}"
ipv6 = "{ours[6]}"
underlay_mtu = {mtu}

[[vni]]
id = 100
flood = ["peer"]

[[vni]]
id = 200
vlan = {vlan}
flood = ["peer"]

[[tunnel]]
name = "peer"
remote = "{remote}"
remote_mac = "02:00:00:00:00:02"
"""
PINGS = 20
CHUNK = 1 << 16
PORT = 5001
ACCEPT_SECONDS = 30.0
STALL_SECONDS = 60.0
"""Without a byte, a transfer has failed."""


@dataclass(frozen=True)
class Step:
    """One thing that was tried: what, whether it worked (None: it cannot be tried here), and what was seen."""

    name: str
    passed: bool | None
    seen: str


class _UnavailableError(Exception):
    """The kernel here cannot do what a step needs."""


Tell = Callable[[Step], None]


def live_demo(
    *,
    data_width: int = 64,
    optimize: bool = False,
    megabytes: int = 10,
    seconds: int = 5,
    tell: Tell = lambda _: None,
    message: Callable[[str], None] = lambda _: None,
) -> list[Step]:
    """Run the demonstration; everything is removed again, also after a failure.

    Parameters
    ----------
    data_width : int
        Of the core, in bits.
    optimize : bool
        As of `vtep-sim live`.
    megabytes : int
        Size of the TCP transfers whose content is compared.
    seconds : int
        Length of each iperf3 run.
    tell : callable
        Told each step as it is done.
    message : callable
        Told what is being prepared.

    Raises
    ------
    CommandError
        The lab cannot be set up; `what_is_missing` tells the usual reasons beforehand.
    """
    steps: list[Step] = []

    def attempt(name: str, action: Callable[[], str]) -> None:
        try:
            step = Step(name, True, action())
        except _UnavailableError as error:
            step = Step(name, None, str(error))
        except (CommandError, OSError, ValueError) as error:
            step = Step(name, False, str(error))
        steps.append(step)
        tell(step)

    options = ["--data-width", str(data_width), *(["--optimize"] if optimize else [])]
    with tempfile.TemporaryDirectory(prefix="vtep-demo-") as folder:
        for family in (4, 6):
            config = Path(folder, "vtep.toml")
            values = {"ours": OURS, "mtu": UNDERLAY_MTU, "vlan": VLAN, "remote": PEER[family]}
            config.write_text(CONFIG.format(**values), encoding="utf-8")
            with LiveLab(config, options, message=message) as lab:
                _set_up(lab, family)
                over = f"IPv{family} underlay"
                _pings(lab, family, over, attempt)
                _transfers(lab, over, megabytes, seconds, attempt)
                attempt(f"{over}: the core ends and reports", partial(_summary, lab))
    return steps


Attempt = Callable[[str, Callable[[], str]], None]


def _pings(lab: LiveLab, family: int, over: str, attempt: Attempt) -> None:
    tenant, peer = lab.tenant, lab.peer
    attempt(f"{over}: ping the VTEP itself (host port)", lambda: _ping(peer, OURS[family]))
    attempt(f"{over}: ping tenant to peer", lambda: _ping(tenant, "192.0.2.2"))
    attempt(f"{over}: ping peer to tenant", lambda: _ping(peer, "192.0.2.1"))
    attempt(f"{over}: ping tenant to peer, IPv6", lambda: _ping(tenant, "2001:db8::2"))
    attempt(f"{over}: ping peer to tenant, IPv6", lambda: _ping(peer, "2001:db8::1"))
    attempt(f"{over}: ping in VLAN {VLAN}", lambda: _ping_in_vlan(lab))
    payload = INNER_MTU - 28
    attempt(f"{over}: ping, jumbo, {INNER_MTU} bytes", lambda: _ping(tenant, "192.0.2.2", f"-s {payload} -M do"))


def _transfers(lab: LiveLab, over: str, megabytes: int, seconds: int, attempt: Attempt) -> None:
    tenant, peer = lab.tenant, lab.peer
    size = f"{megabytes} MB of TCP"
    attempt(f"{over}: {size}, tenant to peer", lambda: _transfer(tenant, peer, "192.0.2.2", megabytes))
    attempt(f"{over}: {size}, peer to tenant", lambda: _transfer(peer, tenant, "192.0.2.1", megabytes))
    attempt(f"{over}: iperf3, tenant to peer", lambda: _iperf(tenant, peer, f"-t {seconds}"))
    attempt(f"{over}: iperf3, peer to tenant", lambda: _iperf(tenant, peer, f"-t {seconds} -R"))


def _set_up(lab: LiveLab, family: int) -> None:
    lab.host.run("ip link set host up")
    lab.host.run(f"ip address add {OURS[4]}/24 dev host")
    lab.host.run(f"ip address add {OURS[6]}/64 dev host")
    peer = lab.peer
    peer.run("ip link set underlay address 02:00:00:00:00:02 up")
    peer.run(f"ip address add {PEER[4]}/24 dev underlay")
    peer.run(f"ip address add {PEER[6]}/64 dev underlay")
    for vni in (100, 200):
        ends = f"local {PEER[family]} remote {OURS[family]} dev underlay"
        peer.run(f"ip link add vx{vni} mtu {INNER_MTU} type vxlan id {vni} dstport 4789 {ends}")
    lab.tenant.run(f"ip link set tenant mtu {INNER_MTU}")
    _address(lab.tenant, "tenant", "192.0.2.1/24", "2001:db8::1/64")
    _address(peer, "vx100", "192.0.2.2/24", "2001:db8::2/64")


def _address(space: Namespace, device: str, *addresses: str) -> None:
    space.run(f"ip link set {device} up")
    for address in addresses:
        space.run(f"ip address add {address} dev {device}")


def _ping_in_vlan(lab: LiveLab) -> str:
    try:
        lab.tenant.run(f"ip link add link tenant name tenant.{VLAN} type vlan id {VLAN}")
    except CommandError:
        raise _UnavailableError("the kernel has no VLAN devices (module 8021q)") from None
    _address(lab.tenant, f"tenant.{VLAN}", "198.51.100.1/24")
    _address(lab.peer, "vx200", "198.51.100.2/24")
    return _ping(lab.tenant, "198.51.100.2")


def _ping(space: Namespace, address: str, options: str = "") -> str:
    told = space.run(f"ping -n -c {PINGS} -i 0.02 -W 5 {options} {address}", timeout=60)
    times = [float(text) for text in re.findall(r"time=([\d.]+) ms", told)]
    if len(times) != PINGS:
        raise ValueError(f"{len(times)} of {PINGS} came back")
    return f"{PINGS} of {PINGS}, median {statistics.median(times):.2f} ms"


def _transfer(source: Namespace, target: Namespace, address: str, megabytes: int) -> str:
    """Send random bytes over TCP and compare the digests of both ends."""
    received = hashlib.sha256()
    with target:
        listener = socket.create_server((address, PORT))
    with listener:
        listener.settimeout(ACCEPT_SECONDS)

        def take() -> None:
            with suppress(OSError):  # then the digests differ
                line, _ = listener.accept()
                with line:
                    line.settimeout(STALL_SECONDS)
                    while chunk := line.recv(CHUNK):
                        received.update(chunk)

        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        sent = hashlib.sha256()
        started = time.monotonic()
        with source:
            line = socket.create_connection((address, PORT), ACCEPT_SECONDS)
        with line:
            line.settimeout(STALL_SECONDS)
            for _ in range(megabytes * 1_000_000 // CHUNK + 1):
                chunk = os.urandom(CHUNK)
                sent.update(chunk)
                line.sendall(chunk)
        taker.join()
        passed = time.monotonic() - started
    if sent.digest() != received.digest():
        raise ValueError("the content differs")
    return f"SHA-256 equal, {megabytes * 8 / passed:.1f} Mb/s"


def _iperf(client: Namespace, server: Namespace, options: str) -> str:
    address = "192.0.2.2"
    with _iperf_server(server, address):
        told = json.loads(client.run(f"iperf3 -J -c {address} {options}", timeout=120))
    ends = told["end"]
    return f"{ends['sum_received']['bits_per_second'] / 1e6:.1f} Mb/s, {ends['sum_sent']['retransmits']} sent again"


@contextmanager
def _iperf_server(space: Namespace, address: str) -> Iterator[None]:
    with tempfile.TemporaryFile() as out:
        server = space.start(["iperf3", "-s", "-B", address, "--forceflush"], out, out)
        try:
            end = time.monotonic() + ACCEPT_SECONDS
            while b"listening" not in os.pread(out.fileno(), CHUNK, 0):
                if server.poll() is not None or time.monotonic() > end:
                    raise CommandError(f"iperf3 does not start: {os.pread(out.fileno(), CHUNK, 0).decode()}")
                time.sleep(0.02)
            yield
        finally:
            server.kill()
            server.wait()


def _summary(lab: LiveLab) -> str:
    report = lab.stop()
    ports = report["ports"].values()
    frames = sum(counts["frames_in"] for counts in ports)
    lost = sum(counts["overrun"] + counts["kernel_lost"] + counts["left_out"] for counts in ports)
    speed = report["clocks"] / max(report["simulated_seconds"], 1e-9)
    return f"{frames} frames in, {lost} lost before the core, {speed:,.0f} clocks a second while busy"
