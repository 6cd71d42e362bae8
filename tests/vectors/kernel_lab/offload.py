"""Switch a network device's offloads off, so that a capture shows what a wire would carry.

Without this the kernel hands packets of up to 64 KB, with half-made checksums, to a virtual
device and to the capture on it. ``ethtool -K`` does the same; the ioctl saves the package.
"""

import contextlib
import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946

# Numbers of <linux/ethtool.h>: (get, set). Receive checksums go too: with them on, a veth vouches for
# checksums that nobody has looked at, and the kernel would accept wrong ones.
_SWITCHES = {
    "rx-checksum": (0x14, 0x15),
    "tx-checksum": (0x16, 0x17),
    "scatter-gather": (0x18, 0x19),
    "tcp-segmentation": (0x1E, 0x1F),
    "generic-segmentation": (0x23, 0x24),
    "generic-receive": (0x2B, 0x2C),
}
_GET_FLAGS, _SET_FLAGS = 0x25, 0x26
_VLAN_FLAGS = (1 << 7) | (1 << 8)
_LARGE_RECEIVE_FLAG = 1 << 15


def _ethtool(sock: socket.socket, device: str, command: int, value: int = 0) -> int:
    argument = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sP", device.encode(), ctypes.addressof(argument)).ljust(40, b"\0")
    fcntl.ioctl(sock, SIOCETHTOOL, request)
    return int(struct.unpack("=II", argument.raw)[1])


def offloads_off(device: str) -> None:
    """Switch segmentation, checksum, VLAN and receive-merging offloads of a device off.

    Call it inside the device's network namespace.

    Raises
    ------
    RuntimeError
        One of them stays on.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name, (get, set_) in _SWITCHES.items():
            # An error: fixed for this device. What counts is the state read next.
            with contextlib.suppress(OSError):
                _ethtool(sock, device, set_, 0)
            if _ethtool(sock, device, get):
                raise RuntimeError(f"{device}: offload {name} cannot be switched off")
        with contextlib.suppress(OSError):
            _ethtool(sock, device, _SET_FLAGS, 0)
        if _ethtool(sock, device, _GET_FLAGS) & (_VLAN_FLAGS | _LARGE_RECEIVE_FLAG):
            raise RuntimeError(f"{device}: VLAN or large-receive offload cannot be switched off")
