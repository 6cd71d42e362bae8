"""An interface that exists, through a raw packet socket.

The kernel hands over what its drivers and stacks leave undone, and this module does it: a VLAN tag that was taken off
goes back in, and a checksum that was left to a device is computed. What was joined to a segment longer than a frame
cannot be undone, and is counted.

Sources: packet(7); Linux, include/uapi/linux/if_packet.h, virtio_net.h.
"""

import errno
import socket
import struct

from .interface import InterfaceError

__all__ = ["SOL_PACKET", "PacketSocket", "complete_checksum"]

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 1, 6, 8, 15, 23
PACKET_MR_PROMISC = 1
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
AUXDATA = struct.Struct("IIIHHHH")
"""Status, length, snapped length, offsets of MAC and network header, TCI and TPID of a tag that was taken off."""
VNET = struct.Struct("=BBHHHH")
"""Flags, GSO type, header length, segment size, where a checksum starts, and how far behind there it stands."""
VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
READ_BYTES = 1 << 17
RING_BYTES = 1 << 22
TYPE_OFFSET = 12


class PacketSocket:
    """All frames that an interface receives, and those sent through it. Nothing of it is changed but promiscuous mode.

    The host's own stack still sees the frames; an interface that serves the core alone has no address.

    Parameters
    ----------
    name : str

    Raises
    ------
    InterfaceError
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lost = 0
        self._joined = 0
        self._down = False
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        except OSError as error:
            raise InterfaceError(f"if:{name}: {_reason(error)}") from error
        try:
            for option in (PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING):
                self._socket.setsockopt(SOL_PACKET, option, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RING_BYTES)
            index = socket.if_nametoindex(name)
            membership = struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")
            self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
            self._socket.bind((name, ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise InterfaceError(f"if:{name}: {_reason(error)}") from error

    def fileno(self) -> int:
        """File descriptor, readable when a frame is there."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Take the next frame; None where there is none, b"" for a segment that is longer than a frame.

        Raises
        ------
        InterfaceError
            The interface was removed.
        """
        try:
            content, extra, _, _ = self._socket.recvmsg(READ_BYTES, 256)
        except OSError as error:
            self._down |= error.errno == errno.ENETDOWN
            there = not self._down or self._socket.getsockname()[0]
            if there and error.errno in (errno.EAGAIN, errno.ENETDOWN):
                return None  # where it is down, it may come up again
            raise InterfaceError(f"the interface {self.name} is gone") from error
        flags, joined, _, _, start, offset = VNET.unpack_from(content)
        if joined:
            self._joined += 1
            return b""
        frame = content[VNET.size :]
        if flags & VIRTIO_NET_HDR_F_NEEDS_CSUM:
            frame = complete_checksum(frame, start, offset)
        for level, kind, value in extra:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA) and len(value) >= AUXDATA.size:
                frame = _with_tag(frame, value)
        return frame

    def send(self, frame: bytes) -> bool:
        """Send a frame; whether the interface took it: it does not while it is down, or where its MTU is exceeded."""
        try:
            self._socket.send(bytes(VNET.size) + frame)
        except OSError:
            return False
        return True

    def lost(self) -> int:
        """Frames so far that the socket's buffer had no room for."""
        _, drops = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._lost += drops
        return self._lost

    def hint(self) -> str:
        """What to do about joined segments; empty without any."""
        if not self._joined:
            return ""
        return (
            f"if:{self.name}: {self._joined} segments longer than a frame left out; turn off what joins them: "
            f"ethtool -K {self.name} gro off lro off, and tso off gso off at the sender where it is on this machine"
        )

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def complete_checksum(frame: bytes, start: int, offset: int) -> bytes:
    """Put in the Internet checksum of ``frame[start:]``, ``offset`` bytes behind there, over what stands there."""
    content = frame[start:] + bytes(len(frame[start:]) & 1)
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    place = start + offset
    # A computed 0 means "none" to UDP, and is the same number to the others.
    return frame[:place] + struct.pack("!H", (total ^ 0xFFFF) or 0xFFFF) + frame[place + 2 :]


def _with_tag(frame: bytes, auxdata: bytes) -> bytes:
    status, *_, tci, tpid = AUXDATA.unpack_from(auxdata)
    if not status & TP_STATUS_VLAN_VALID:
        return frame
    if not status & TP_STATUS_VLAN_TPID_VALID:
        tpid = 0x8100
    return frame[:TYPE_OFFSET] + struct.pack("!HH", tpid, tci) + frame[TYPE_OFFSET:]


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return "not permitted: packet sockets need root, or the capability CAP_NET_RAW"
        case errno.ENODEV | errno.ENXIO:
            return "there is no such interface"
        case _:
            return error.strerror or str(error)
