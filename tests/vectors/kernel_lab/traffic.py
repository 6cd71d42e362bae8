"""Traffic between the tenants, one step after the other: sockets of both namespaces in one thread."""

import socket
import struct
import time
from contextlib import closing

from vtep_sim.live.namespace import Namespace

from .frames import checksum
from .lab import Lab, Segment

TIMEOUT_SECONDS = 5.0
ECHO_IDENTIFIER = 0x5645

FEW = [0, 1, 2, 17, 18, 19, 63, 64, 65, 512]
"""A few UDP payload lengths, around those that fill a frame of 60 bytes and a beat of 64."""


def pattern(length: int) -> bytes:
    """Payload whose bytes count up, so that a shifted or missing byte shows."""
    return bytes(i % 251 for i in range(length))


def _open(space: Namespace, family: int, kind: int, protocol: int = 0) -> socket.socket:
    with space:
        sock = socket.socket(family, kind, protocol)
    sock.settimeout(TIMEOUT_SECONDS)
    return sock


def ping(space: Namespace, destination: str, *, length: int = 56, count: int = 3, tos: int = 0, ttl: int = 64) -> None:
    """Send ICMP echo requests, IPv4 or IPv6, and wait for each answer."""
    v6 = ":" in destination
    family = socket.AF_INET6 if v6 else socket.AF_INET
    with closing(_open(space, family, socket.SOCK_RAW, 58 if v6 else 1)) as sock:
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        for sequence in range(1, count + 1):
            head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, ECHO_IDENTIFIER, sequence)
            body = pattern(length)
            if not v6:
                head = head[:2] + struct.pack("!H", checksum(head + body)) + head[4:]
            sock.sendto(head + body, (destination, 0))
            wanted = struct.pack("!HH", ECHO_IDENTIFIER, sequence)
            while True:
                answer = sock.recv(65536)
                answer = answer if v6 else answer[20:]
                if answer[0] == (129 if v6 else 0) and answer[4:8] == wanted:
                    break


def udp_echo(lab: Lab, source: str, destination: str, lengths: list[int]) -> None:
    """Datagrams of the given payload lengths from the local host, each sent back by the remote one."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with (
        closing(_open(lab.local, family, socket.SOCK_DGRAM)) as here,
        closing(_open(lab.remote, family, socket.SOCK_DGRAM)) as there,
    ):
        here.bind((source, 5001))
        there.bind((destination, 5002))
        for length in lengths:
            here.sendto(pattern(length), (destination, 5002))
            data, address = there.recvfrom(65536)
            there.sendto(data, address)
            if here.recv(65536) != pattern(length):
                raise SystemExit(f"UDP echo of {length} bytes came back changed")


def tcp_transfer(lab: Lab, source: str, destination: str, length: int) -> None:
    """One TCP connection from the local host to the remote one, ``length`` bytes each way."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with (
        closing(_open(lab.local, family, socket.SOCK_STREAM)) as here,
        closing(_open(lab.remote, family, socket.SOCK_STREAM)) as listener,
    ):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((destination, 5003))
        listener.listen(1)
        here.bind((source, 5004))
        here.connect((destination, 5003))
        there, _ = listener.accept()
        there.settimeout(TIMEOUT_SECONDS)
        with closing(there):
            for sender, receiver in ((here, there), (there, here)):
                sender.sendall(pattern(length))
                left = length
                while left:
                    left -= len(receiver.recv(left))
            here.shutdown(socket.SHUT_WR)
            if there.recv(1) != b"":
                raise SystemExit("TCP connection did not end")
    time.sleep(0.1)


def send_frames(space: Namespace, device: str, frames: list[bytes]) -> None:
    """Put frames on a device as they are."""
    with space, closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind((device, 0))
        for frame in frames:
            sock.send(frame)
            time.sleep(0.001)


def standard(lab: Lab, segment: Segment, *, udp_lengths: list[int], tcp_length: int) -> None:
    """ARP, neighbour discovery, ping, UDP echo and TCP over IPv4 and IPv6 in one VNI.

    ``udp_lengths`` are the payload lengths over IPv4; IPv6 gets `FEW`. Address resolution comes by itself:
    no neighbour is known in advance.
    """
    for here, there in ((segment.local4, segment.remote4), (segment.local6, segment.remote6)):
        ping(lab.local, there)
        ping(lab.remote, here, length=11, count=2)
        udp_echo(lab, here, there, FEW if ":" in here else udp_lengths)
        tcp_transfer(lab, here, there, tcp_length)
