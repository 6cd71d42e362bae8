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

__all__ = ["CommandError", "Namespace"]

_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(Exception):
    """A command in a namespace failed; the message is its own."""


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _prepare_child() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


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

    def run(self, command: str, *, timeout: float | None = None) -> str:
        """Run a command (words separated by blanks) in the namespace; what it prints.

        Raises
        ------
        CommandError
            It failed, or took longer than ``timeout`` seconds.
        """
        with self:
            try:
                done = subprocess.run(command.split(), capture_output=True, text=True, check=False, timeout=timeout)
            except FileNotFoundError:
                raise CommandError(f"there is no command '{command.split()[0]}'") from None
            except subprocess.TimeoutExpired:
                raise CommandError(f"'{command}' was not done in {timeout:g} s") from None
        if done.returncode != 0:
            raise CommandError(f"'{command}' failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(self, command: list[str], stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process in the namespace which dies with this one, and which Ctrl-C of this one does not reach."""
        with self:
            return subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=_prepare_child)

    def sysctl(self, name: str, value: str | int) -> None:
        """Write ``/proc/sys/NAME``."""
        with self:
            Path("/proc/sys", name).write_text(str(value), encoding="ascii")

    def close(self) -> None:
        """Let the namespace go."""
        os.close(self.fd)
