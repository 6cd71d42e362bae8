"""A live core between network namespaces: tenants on one side, a peer of the underlay on the other, a host stack.

Needs root, and ``ip`` of iproute2. Nothing outlives it: the namespaces have no names.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from .namespace import CommandError, Namespace

__all__ = ["CommandError", "LiveLab", "what_is_missing"]

PORTS = {"tenant": "tenant", "underlay": "peer", "host": "host"}
"""Which namespace gets the TAP device of a port; the device keeps the port's name."""
READY = "live: "
PATIENCE = 900.0
"""Seconds in which the core must be there; it may have to be compiled first."""
END_SECONDS = 30.0


def what_is_missing(tools: dict[str, str] | None = None) -> str:
    """Tell why no lab can be made here; empty where one can.

    Parameters
    ----------
    tools : dict or None
        Further commands that are needed, with the Debian package of each.
    """
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root, for network namespaces and TAP devices"
    for tool, package in {"ip": "iproute2", **(tools or {})}.items():
        if shutil.which(tool) is None:
            return f"'{tool}' is missing: install the package {package}"
    if not Path("/proc/sys/net/ipv6").exists():
        return "the kernel has no IPv6"
    if not Path("/dev/net/tun").exists():
        return "the kernel has no /dev/net/tun (module tun)"
    try:
        space = Namespace()
    except OSError as error:
        return f"no network namespace can be made: {error.strerror}"
    try:
        space.run("ip link add probe type vxlan id 1 dstport 4789")
    except CommandError:
        return "the kernel has no VXLAN device (module vxlan)"
    finally:
        space.close()
    return ""


class LiveLab:
    """`vtep-sim live` with three TAP devices, each in a namespace of its own. Use it as a context manager.

    Parameters
    ----------
    config : Path
        Configuration of the core.
    options : sequence of str
        Further options of `vtep-sim live`.
    ports : sequence of str
        Ports that get a TAP device.
    message : callable
        Told what the command says while the core is being built.

    Attributes
    ----------
    tenant, peer, host : Namespace
        With the devices ``tenant``, ``underlay`` and ``host``, all down.

    Raises
    ------
    CommandError
        The command does not start; its message is in it.
    """

    def __init__(
        self,
        config: Path,
        options: Sequence[str] = (),
        *,
        ports: Sequence[str] = tuple(PORTS),
        message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vtep-live-")
        self._spaces: list[Namespace] = []
        self._process: subprocess.Popen[bytes] | None = None
        try:
            core, self.tenant, self.peer, self.host = (self._namespace() for _ in range(4))
            # The devices say nothing before they are moved, so the core sees only what the lab's user lets be sent.
            core.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
            self._log = Path(self._folder.name, "log")
            self._report = Path(self._folder.name, "report.json")
            command = [sys.executable, "-m", "vtep_sim", "live", "--config", str(config), "--report", str(self._report)]
            command += [text for port in ports for text in (f"--{port}", f"tap:{port}")]
            with self._log.open("wb") as log:
                self._process = core.start([*command, *options], log, log)
            self._wait_until_ready(message)
            for port in ports:
                space: Namespace = getattr(self, PORTS[port])
                core.run(f"ip link set {port} netns {space.path}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, space: Namespace, command: str, out: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a command (words separated by blanks) in a namespace; it dies with this process."""
        return space.start(command.split(), out, out)

    def stop(self) -> dict[str, Any]:
        """End the core and return its report.

        Raises
        ------
        CommandError
            It did not end as it should.
        """
        assert self._process is not None
        self._process.terminate()
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise CommandError(f"vtep-sim live does not end: {self.log()}") from None
        if status:
            raise CommandError(f"vtep-sim live ended with exit code {status}: {self.log()}")
        report: dict[str, Any] = json.loads(self._report.read_text(encoding="utf-8"))
        return report

    @property
    def pid(self) -> int:
        """Process of the command."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What the command said so far."""
        return self._log.read_text(encoding="utf-8").strip()

    def close(self) -> None:
        """End everything and let the namespaces go, with all that is in them."""
        if self._process is not None:
            # Whatever it may have started, such as a compiler, too; it is the leader of its group.
            for number in (signal.SIGINT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_SECONDS)
        for space in self._spaces:
            space.close()
        self._spaces.clear()
        self._folder.cleanup()

    def _namespace(self) -> Namespace:
        """Make a namespace that says nothing by itself and checks no address for being taken."""
        space = Namespace()
        self._spaces.append(space)
        for scope in ("all", "default"):
            base = f"net/ipv6/conf/{scope}"
            for name in ("accept_dad", "accept_ra", "router_solicitations"):
                space.sysctl(f"{base}/{name}", 0)
        space.run("ip link set lo up")
        return space

    def _wait_until_ready(self, message: Callable[[str], None]) -> None:
        assert self._process is not None
        end = time.monotonic() + PATIENCE
        told = 0
        while True:
            lines = self.log().splitlines()
            if any(line.startswith(READY) for line in lines):
                return
            for line in lines[told:]:
                message(line)
            told = len(lines)
            if self._process.poll() is not None:
                raise CommandError(f"vtep-sim live does not start: {self.log()}")
            if time.monotonic() > end:
                raise CommandError(f"vtep-sim live is not there after {PATIENCE:g} s: {self.log()}")
            time.sleep(0.05)
