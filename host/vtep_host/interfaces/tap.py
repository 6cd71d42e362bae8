"""A TAP device: an Ethernet interface of the kernel whose other end is this program.

Sources: Linux, Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h, include/uapi/linux/sockios.h.
"""

import errno
import fcntl
import os
import socket
import struct

from .device_counters import transmit_drops
from .interface import InterfaceError, Setup

__all__ = ["Tap"]

TUNSETIFF, TUNGETIFF = 0x400454CA, 0x800454D2
IFF_TAP, IFF_NO_PI, IFF_UP = 0x0002, 0x1000, 0x0001
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFHWADDR = 0x8913, 0x8914, 0x8922, 0x8924
ARPHRD_ETHER = 1
NAME_BYTES = 16
READ_BYTES = 1 << 16


class Tap:
    """A new TAP device, up, which is gone again when it is closed. It may be moved to another namespace and renamed.

    The kernel completes checksums and cuts large segments before it hands frames over, as no offload is asked for.

    Parameters
    ----------
    name : str
        Up to 15 characters.
    setup : Setup

    Raises
    ------
    InterfaceError
    """

    def __init__(self, name: str, setup: Setup) -> None:
        if not 0 < len(name.encode()) < NAME_BYTES or set(name) & set("/%"):
            raise InterfaceError(f"tap:{name}: a name has 1 to {NAME_BYTES - 1} characters, none of them a slash or %")
        self._file = -1
        self._lost, self._unknown = 0, False
        try:
            self._file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self._file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
            _set_up(name, setup)
        except InterfaceError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise InterfaceError(f"tap:{name}: {_reason(error)}") from error

    @property
    def name(self) -> str:
        """What it is called now."""
        answer: bytes = fcntl.ioctl(self._file, TUNGETIFF, bytes(40))
        return answer[:NAME_BYTES].rstrip(b"\0").decode()

    def fileno(self) -> int:
        """File descriptor, readable when a frame is there."""
        return self._file

    def receive(self) -> bytes | None:
        """Take the next frame; None where there is none.

        Raises
        ------
        InterfaceError
            The device was removed, perhaps with its namespace.
        """
        try:
            return os.read(self._file, READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise InterfaceError(f"the TAP device is gone: {error.strerror}") from error

    def send(self, frame: bytes) -> bool:
        """Send a frame; whether the interface took it: it does not while it is down."""
        try:
            return os.write(self._file, frame) == len(frame)
        except OSError:
            return False

    def lost(self) -> int:
        """Frames so far that found the device's queue full; what is known of them."""
        try:
            self._lost = transmit_drops(self._file, self.name)
        except PermissionError:
            self._unknown = True
        return self._lost

    def hint(self) -> str:
        """Nothing has to be left out; but what was lost may not be known."""
        if not self._unknown:
            return ""
        return (
            f"tap:{self.name}: what the kernel lost is not known, as the device is in another network namespace now: "
            "to look there takes root, or CAP_SYS_ADMIN"
        )

    def close(self) -> None:
        """Remove the device."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _set_up(name: str, setup: Setup) -> None:
    request = name.encode().ljust(NAME_BYTES, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        if setup.mac:
            fcntl.ioctl(control, SIOCSIFHWADDR, request + struct.pack("H6s16x", ARPHRD_ETHER, setup.mac))
        try:
            fcntl.ioctl(control, SIOCSIFMTU, request + struct.pack("i20x", setup.mtu))
        except OSError as error:
            raise InterfaceError(f"tap:{name}: an MTU of {setup.mtu} is refused: {error.strerror}") from error
        flags = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request + bytes(24)), NAME_BYTES)[0]
        fcntl.ioctl(control, SIOCSIFFLAGS, request + struct.pack("H22x", flags | IFF_UP))


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return "not permitted: TAP devices need root, or the capability CAP_NET_ADMIN"
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return "this kernel has no /dev/net/tun (the module is called tun)"
        case errno.EBUSY:
            return "another program holds the device of this name"
        case errno.EINVAL:
            return "the name is taken by an interface that is no TAP device, or not allowed"
        case _:
            return error.strerror or str(error)
