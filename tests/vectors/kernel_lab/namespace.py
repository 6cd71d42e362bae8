"""Network namespaces that nothing outlives: they have no name, only the descriptor held here."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Namespace:
    """A new network namespace; ``with namespace:`` moves the calling thread into it.

    The kernel removes it, with every device in it, once the descriptor is closed and the last
    process and socket in it are gone: also after the script was killed.

    Raises
    ------
    OSError
        Not root, or the kernel has no network namespaces.
    """

    def __init__(self) -> None:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _check(_libc.unshare(CLONE_NEWNET), "unshare")
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            _check(_libc.setns(home, CLONE_NEWNET), "setns")
        finally:
            os.close(home)
        self._outside: list[int] = []

    def __enter__(self) -> "Namespace":
        self._outside.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _check(_libc.setns(self.fd, CLONE_NEWNET), "setns")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        home = self._outside.pop()
        _check(_libc.setns(home, CLONE_NEWNET), "setns")
        os.close(home)

    @property
    def path(self) -> str:
        """A path by which ``ip link ... netns`` finds the namespace while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, command: str) -> None:
        """Run a command (words separated by blanks) in the namespace; an error ends the script with its message."""
        with self:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"'{command}' failed: {done.stderr.strip()}")

    def start(self, command: list[str], stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process in the namespace which dies with this one."""
        with self:
            return subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=_die_with_parent)

    def sysctl(self, name: str, value: str | int) -> None:
        """Write ``/proc/sys/NAME``."""
        with self:
            Path("/proc/sys", name).write_text(str(value), encoding="ascii")

    def close(self) -> None:
        """Let the namespace go."""
        os.close(self.fd)
