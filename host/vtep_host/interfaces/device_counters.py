"""What the kernel counts at a TAP device, in whatever network namespace it is by now."""

import ctypes
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["transmit_drops"]

TUNGETDEVNETNS = 0x54E3
"""ioctl of a TAP device: a descriptor of its network namespace. Source: Linux, include/uapi/linux/if_tun.h."""
OWN_NAMESPACE = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000
DROPS_SENT = 11
"""Column of /proc/net/dev behind the name: dropped, of what is sent."""


def transmit_drops(tap: int, name: str) -> int:
    """Frames for the device behind the descriptor ``tap`` that its queue had no room for.

    OSError where unknown: another namespace is entered by CAP_SYS_ADMIN only.
    """
    namespace = fcntl.ioctl(tap, TUNGETDEVNETNS)
    try:
        if os.path.samestat(os.fstat(namespace), OWN_NAMESPACE.stat()):
            table = _read_table()
        else:
            # A namespace is entered by a thread, and left by its end.
            with ThreadPoolExecutor(1) as thread:
                table = thread.submit(_read_table_in, namespace).result()
    finally:
        os.close(namespace)
    for line in table.splitlines():
        device, _, columns = line.partition(":")
        if device.strip() == name:
            return int(columns.split()[DROPS_SENT])
    return 0


def _read_table_in(namespace: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return _read_table()


def _read_table() -> str:
    with Path("/proc/thread-self/net/dev").open(encoding="ascii") as table:
        return table.read()
