"""The command `vtep-sim live`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from vtep.config import Mode
from vtep_host.interfaces.interface import FORMS

from ..console import console, message
from ..options import BROKEN, DIFFERENT, REFUSED, ModeOption, literals, path_option, refusals
from ..runner import UsageError, make_parameters

__all__ = ["live", "live_demo"]


def _interface(port: str, more: str = "") -> typer.models.OptionInfo:
    text = f"Interface of the {port} port: {FORMS}.{more}"
    return typer.Option(help=text, show_default=False, metavar="INTERFACE")


def live(
    config: Annotated[Path, path_option("Configuration of the VTEP, TOML.")],
    tenant: Annotated[str | None, _interface("tenant")] = None,
    underlay: Annotated[str | None, _interface("underlay")] = None,
    host: Annotated[str | None, _interface("host", " Gets the VTEP's MAC; give it the VTEP's IP addresses.")] = None,
    data_width: Annotated[int, typer.Option(help="Datapath width in bits: 8, 16, 32, 64, 128, 256, 512.")] = 64,
    mode: Annotated[Mode, ModeOption] = Mode.STORE_AND_FORWARD,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, a further build parameter such as tunnels=64; repeatable.", show_default=False),
    ] = None,
    ring: Annotated[int, typer.Option(help="Frames that wait in front of a port; more are lost.", min=1)] = 256,
    socket: Annotated[
        Path | None, typer.Option(help="Unix socket to make, for vtep-ctl --via unix:SOCKET.", show_default=False)
    ] = None,
    tenant_capture: Annotated[Path | None, path_option("Capture of the tenant port, both ways: pcap, pcapng.")] = None,
    underlay_capture: Annotated[Path | None, path_option("Capture of the underlay port.")] = None,
    host_capture: Annotated[Path | None, path_option("Capture of the host port.")] = None,
    waves: Annotated[Path | None, path_option("FST waveform to write; makes the simulation slower.")] = None,
    waves_at: Annotated[
        str,
        typer.Option(
            help="What the waveform shows: 'start', or the clocks around the first time that a counter rises, such as "
            "'no_vni' (not seen while vtep-ctl is connected), or 'signal': around SIGUSR1."
        ),
    ] = "start",
    waves_clocks: Annotated[int, typer.Option(help="Clocks of the waveform.", min=2)] = 20_000,
    report: Annotated[Path | None, path_option("JSON file for frames, losses and counters of the session.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after this time instead of at Ctrl-C.", min=0.0, show_default=False)
    ] = None,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Build a model some times faster first; builds longer.")
    ] = False,
) -> None:
    """Join the simulated core to network interfaces, as fast as the simulation allows. Ctrl-C ends it.

    TAP devices are made, get an MTU that fits [vtep] underlay_mtu, and are gone in the end; they may be moved into
    another network namespace. Needs root, or CAP_NET_ADMIN for tap: and CAP_NET_RAW for if:; what the kernel loses of a
    TAP device that was moved is known with CAP_SYS_ADMIN only.

    Frames that the simulation cannot take in time are lost, as at any interface, and counted.
    """
    from .session import SessionOptions, run_session

    ports = {"tenant": tenant, "underlay": underlay, "host": host}
    captures = {"tenant": tenant_capture, "underlay": underlay_capture, "host": host_capture}
    with refusals():
        if not any(ports.values()):
            raise UsageError("no interface: give --tenant, --underlay or --host")
        run_session(
            SessionOptions(
                config=config,
                parameters=make_parameters(data_width, mode, mode, literals(parameter or [])),
                interfaces=ports,
                captures={port: path for port, path in captures.items() if path},
                ring=ring,
                socket=socket,
                waves=waves,
                waves_at=waves_at,
                waves_clocks=waves_clocks,
                report=report,
                seconds=seconds,
                optimize=optimize,
            )
        )


def live_demo(
    data_width: Annotated[int, typer.Option(help="Datapath width in bits: 8, 16, 32, 64, 128, 256, 512.")] = 64,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Build a model some times faster first; builds longer.")
    ] = False,
    megabytes: Annotated[int, typer.Option(help="Size of the TCP transfers whose content is compared.", min=1)] = 10,
    seconds: Annotated[int, typer.Option(help="Length of each iperf3 run.", min=1)] = 5,
) -> None:
    """Ping, TCP and iperf3 through the simulated core and the VXLAN device of the kernel. Needs root.

    Everything is in network namespaces without a name, and is gone in the end.
    """
    from .demo import TOOLS, Step
    from .demo import live_demo as run_demo
    from .lab import CommandError, what_is_missing

    def tell(step: Step) -> None:
        verdict = {True: "ok", False: "FAILED", None: "not tried"}[step.passed]
        console().print(f"{verdict:9} {step.name}: {step.seen}", markup=False)

    with refusals():
        make_parameters(data_width, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)
    missing = what_is_missing(TOOLS)
    if missing:
        message(f"error: {missing}")
        raise typer.Exit(REFUSED)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # also then everything is removed
    try:
        steps = run_demo(
            data_width=data_width,
            optimize=optimize,
            megabytes=megabytes,
            seconds=seconds,
            tell=tell,
            message=message,
        )
    except CommandError as error:
        message(f"error: {error}")
        raise typer.Exit(BROKEN) from None
    finally:
        signal.signal(signal.SIGTERM, before)
    if any(step.passed is False for step in steps):
        raise typer.Exit(DIFFERENT)
