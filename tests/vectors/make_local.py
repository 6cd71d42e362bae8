#!/usr/bin/env python3
"""Make the captures of the folder `local` afresh: what Linux says to a gateway, and what it answers to one.

Needs root, iproute2 and what `make setup` sets up; leaves nothing behind but the files. See README.md.
"""

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kernel_lab.capture_file import Packet, write_capture
from kernel_lab.offload import offloads_off
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from vtep_host.interfaces.packet_socket import PacketSocket
from vtep_sim.live.namespace import Namespace

FOLDER = Path(__file__).resolve().parent / "local"
GATEWAY_MAC, HOST_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
GATEWAY4, HOST4 = "192.0.2.1", "192.0.2.2"
GATEWAY6, HOST6 = "2001:db8::1", "2001:db8::2"
SOLICITED_NODE, SOLICITED_NODE_MAC = "ff02::1:ff00:2", "33:33:ff:00:00:02"
SIZES = (0, 1, 2, 17, 18, 19, 56, 255, 256, 1000, 1471, 1472)
SIZES6 = (*SIZES[:-2], 1451, 1452)
JUMBO, JUMBO6 = 8972, 8952
ICMP_ECHO, ICMPV6_ECHO = 8, 128
TIMEOUT_SECONDS = 3.0


class Link:
    """Two namespaces and a veth pair between them; the gateway's end has no addresses unless told so."""

    def __init__(self, mtu: int, *, gateway: bool) -> None:
        self.host, self.gateway = Namespace(), Namespace()
        for space in (self.host, self.gateway):
            for scope in ("all", "default"):
                for name, value in (("addr_gen_mode", 1), ("accept_ra", 0), ("router_solicitations", 0)):
                    space.sysctl(f"net/ipv6/conf/{scope}/{name}", value)
                # The gateway is there without delay; the host looks whether its addresses are free.
                space.sysctl(f"net/ipv6/conf/{scope}/accept_dad", int(space is self.host))
        self.host.sysctl("net/ipv4/ping_group_range", "0 0")
        self.host.run(
            f"ip link add wire address {HOST_MAC} mtu {mtu} type veth"
            f" peer name wire address {GATEWAY_MAC} mtu {mtu} netns {self.gateway.path}"
        )
        for space in (self.gateway, self.host):
            with space:
                offloads_off("wire")
            space.run("ip link set wire up")
        if gateway:
            self.gateway.run(f"ip address add {GATEWAY4}/24 dev wire")
            self.gateway.run(f"ip address add {GATEWAY6}/64 dev wire")
        # What a receiver sees of the other end is all that the other end sent.
        with self.gateway:
            self._from_host = PacketSocket("wire")
        with self.host:
            self._from_gateway = PacketSocket("wire")

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *_: object) -> None:
        self._from_host.close()
        self._from_gateway.close()
        self.host.close()
        self.gateway.close()

    def address_host(self, *, duplicate: bool = False) -> None:
        """Give the host its addresses, or first the gateway's: then duplicate address detection finds it."""
        self.host.run(f"ip address add {HOST4}/24 dev wire")
        if duplicate:
            self.host.run(f"ip address add {GATEWAY6}/64 dev wire")
            time.sleep(2)
            self.host.run(f"ip address del {GATEWAY6}/64 dev wire")
        self.host.run(f"ip address add {HOST6}/64 dev wire")
        time.sleep(2)

    def send(self, frame: bytes) -> None:
        """Send as the gateway."""
        self._from_host.send(frame)
        time.sleep(0.1)

    def frames(self) -> tuple[list[Packet], list[Packet]]:
        """What the host sent, and what the gateway did."""
        time.sleep(0.5)
        return self._drain(self._from_host), self._drain(self._from_gateway)

    @staticmethod
    def _drain(port: PacketSocket) -> list[Packet]:
        packets = []
        while (frame := port.receive()) is not None:
            packets.append(Packet(time.time_ns(), frame))
        return packets


def ping(space: Namespace, address: str, sizes: tuple[int, ...], tos: int = 0) -> None:
    """Send echo requests of the kernel's own making, one after the other."""
    six = ":" in address
    with (
        space,
        socket.socket(
            socket.AF_INET6 if six else socket.AF_INET,
            socket.SOCK_DGRAM,
            socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP,
        ) as echo,
    ):
        echo.settimeout(TIMEOUT_SECONDS)
        if tos:
            level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if six else (socket.IPPROTO_IP, socket.IP_TOS)
            echo.setsockopt(level, option, tos)
        for number, size in enumerate(sizes):
            head = bytes([ICMPV6_ECHO if six else ICMP_ECHO, 0, 0, 0, 0, 0]) + number.to_bytes(2, "big")
            data = bytes((number + 7 * i) & 0xFF for i in range(size))
            echo.sendto(head + data, (address, 0))
            if echo.recv(1 << 16)[8:] != data:
                raise SystemExit(f"{address} answered something else to a ping of {size} bytes")


def questions(write: Callable[[str, list[Packet]], None]) -> None:
    """What a host asks of its gateway, and Linux's own answers."""
    for name, mtu, sizes, sizes6 in (("", 1500, SIZES, SIZES6), ("-jumbo", 9000, (JUMBO,), (JUMBO6,))):
        with Link(mtu, gateway=True) as link:
            link.address_host(duplicate=not name)
            ping(link.host, GATEWAY4, sizes)
            ping(link.host, GATEWAY6, sizes6)
            if not name:
                ping(link.host, GATEWAY4, (8,), tos=0xB9)
                ping(link.host, GATEWAY6, (8,), tos=0xB9)
                # Ask again by unicast, as the kernel does of a neighbour that it has not heard of for a while.
                for address in (GATEWAY4, GATEWAY6):
                    link.host.run(f"ip neighbor replace {address} lladdr {GATEWAY_MAC} dev wire nud probe")
                time.sleep(2.5)
            asked, answered = link.frames()
        write(f"questions{name}", asked)
        write(f"answers{name}", answered)


def replies(write: Callable[[str, list[Packet]], None]) -> None:
    """What a host answers when a gateway asks for its MAC address, and what it tells when that changes."""
    with Link(1500, gateway=False) as link:
        link.address_host()
        link.frames()
        for group in (True, False):
            arp = ARP(op=1, hwsrc=GATEWAY_MAC, psrc=GATEWAY4, hwdst="00:00:00:00:00:00", pdst=HOST4)
            nd = IPv6(src=GATEWAY6, dst=SOLICITED_NODE if group else HOST6, hlim=255) / ICMPv6ND_NS(tgt=HOST6)
            nd /= ICMPv6NDOptSrcLLAddr(lladdr=GATEWAY_MAC)
            for mac, body in (("ff:ff:ff:ff:ff:ff", arp), (SOLICITED_NODE_MAC, nd)):
                link.send(bytes(Ether(dst=mac if group else HOST_MAC, src=GATEWAY_MAC) / body))
        answered, asked = link.frames()
        write("requests", asked)
        write("replies", answered)
        # Gratuitous ARP and unsolicited advertisements, with another MAC address.
        for scope in ("all", "default", "wire"):
            link.host.sysctl(f"net/ipv4/conf/{scope}/arp_notify", 1)
            link.host.sysctl(f"net/ipv6/conf/{scope}/ndisc_notify", 1)
        link.host.run("ip link set wire address 02:00:00:00:00:99")
        time.sleep(1)
        write("announcements", link.frames()[0])


def main() -> None:
    """Make all captures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write (the folder local)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("make_local.py needs root, for network namespaces")
    options.out.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def write(name: str, packets: list[Packet]) -> None:
        write_capture(options.out / f"{name}.pcap", packets, "pcap")
        print(f"{name}: {len(packets)}", flush=True)

    questions(write)
    replies(write)


if __name__ == "__main__":
    main()
