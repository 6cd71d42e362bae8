"""The command `vtep-sim`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vtep.config import DATA_WIDTHS, Mode
from vtep_host.config import load
from vtep_host.tables import limits_of

from .captures import read_capture
from .console import console, message, print_report, progress_of
from .demo import run_demo
from .harness import Simulator
from .html_report.cli import report
from .live.cli import live, live_demo
from .options import BROKEN, DIFFERENT, ModeOption, exit_codes, literals, path_option, refusals
from .runner import RunOptions, UsageError, make_parameters, run_captures
from .synth.cli import synth

__all__ = ["app", "main"]

app = typer.Typer(
    help="Simulate the VTEP core: the Verilated gateware behind captures and benches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command(epilog=exit_codes(done="done, and with --check everything agrees", different="--check found a difference"))
def run(
    config: Annotated[Path, path_option("Configuration of the VTEP, TOML.")],
    tenant_in: Annotated[Path | None, path_option("Frames for the tenant port: pcap or pcapng.")] = None,
    underlay_in: Annotated[Path | None, path_option("Frames for the underlay port.")] = None,
    host_in: Annotated[Path | None, path_option("Frames for the host port.")] = None,
    tenant_out: Annotated[Path | None, path_option("Capture to write; pcapng where so named, else pcap in ns.")] = None,
    underlay_out: Annotated[Path | None, path_option("Capture to write.")] = None,
    host_out: Annotated[Path | None, path_option("Capture to write.")] = None,
    data_width: Annotated[int, typer.Option(help="Datapath width in bits: 8, 16, 32, 64, 128, 256, 512.")] = 64,
    mode: Annotated[Mode, ModeOption] = Mode.STORE_AND_FORWARD,
    encap_mode: Annotated[Mode | None, typer.Option(help="The same for encapsulation alone.")] = None,
    decap_mode: Annotated[Mode | None, typer.Option(help="The same for decapsulation alone.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with the golden model.")] = False,
    report: Annotated[Path | None, path_option("JSON file for counters, clocks, frames and bytes.")] = None,
    waves: Annotated[Path | None, path_option("FST waveform to write (GTKWave and Surfer open it).")] = None,
    pad_snapped: Annotated[
        bool,
        typer.Option("--pad-snapped", help="Fill frames that the capture cut off with zeros."),
    ] = False,
    clock_mhz: Annotated[float, typer.Option(help="Clock that Gb/s and the waveform refer to.", min=0.001)] = 156.25,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, a further build parameter such as tunnels=64; repeatable.", show_default=False),
    ] = None,
    optimize: Annotated[
        bool,
        typer.Option("--optimize", help="Build a model some times faster, trained with these captures; builds longer."),
    ] = False,
    stall: Annotated[
        float, typer.Option(help="Share of clocks in which a port pauses at random.", min=0.0, max=0.99)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of --stall.", min=0)] = 1,
) -> None:
    """Run captures through the core.

    The frames of all three inputs go in as fast as the core takes them; time stamps do not set the pace, but an
    output frame carries the stamp of the frame it was made of.
    """
    named = {"tenant": (tenant_in, tenant_out), "underlay": (underlay_in, underlay_out), "host": (host_in, host_out)}
    inputs = {port: paths[0] for port, paths in named.items() if paths[0] is not None}
    outputs = {port: paths[1] for port, paths in named.items() if paths[1] is not None}
    with refusals():
        if not inputs:
            raise UsageError("no input: give --tenant-in, --underlay-in or --host-in")
        others = literals(parameter or [])
        options = RunOptions(
            config=config,
            parameters=make_parameters(data_width, encap_mode or mode, decap_mode or mode, others),
            inputs=inputs,
            outputs=outputs,
            report=report,
            waves=waves,
            check=check,
            pad_snapped=pad_snapped,
            clock_mhz=clock_mhz,
            optimize=optimize,
            stall=stall,
            seed=seed,
        )
        with progress_of("simulating") as progress:
            result = run_captures(options, message=message, progress=progress)
    print_report(result)
    if result.differences:
        console().print("\n".join(["differs from the golden model:", *result.differences]), markup=False)
        raise typer.Exit(DIFFERENT)
    if check:
        console().print("every frame and every counter is as the golden model says")


@app.command(epilog=exit_codes(done="everything agrees", different="a difference was found"))
def demo(
    folder: Annotated[Path, typer.Option(help="Where captures and waveforms go.")] = Path("build/demo"),
    capture: Annotated[str | None, typer.Option(help="One folder of tests/vectors; all of them by default.")] = None,
    data_width: Annotated[int, typer.Option(help="Datapath width in bits: 8, 16, 32, 64, 128, 256, 512.")] = 64,
    clock_mhz: Annotated[float, typer.Option(help="Clock that Gb/s and the waveforms refer to.", min=0.001)] = 156.25,
) -> None:
    """Run captures of Linux VXLAN traffic through the core: decapsulate, encapsulate again, compare."""
    with refusals(), progress_of("captures", "captures") as progress:
        done = run_demo(
            folder, data_width=data_width, clock_mhz=clock_mhz, chosen=capture, message=message, progress=progress
        )
    done.show()
    if done.differences:
        raise typer.Exit(DIFFERENT)


@app.command("serve", epilog=exit_codes())
def serve_(
    socket: Annotated[Path, typer.Option(help="Unix socket to make.")] = Path("vtep.sock"),
    config: Annotated[
        Path | None, path_option("Configuration of the VTEP, TOML; without it the core is empty.")
    ] = None,
    tenant_in: Annotated[
        Path | None, path_option("Frames for the tenant port, again and again: pcap or pcapng.")
    ] = None,
    underlay_in: Annotated[Path | None, path_option("Frames for the underlay port.")] = None,
    host_in: Annotated[Path | None, path_option("Frames for the host port.")] = None,
    rate: Annotated[float, typer.Option(help="Frames a second at each of these ports.", min=1.0)] = 1000.0,
    data_width: Annotated[int, typer.Option(help="Datapath width in bits: 8, 16, 32, 64, 128, 256, 512.")] = 64,
    mode: Annotated[Mode, ModeOption] = Mode.STORE_AND_FORWARD,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, a further build parameter such as tunnels=64; repeatable.", show_default=False),
    ] = None,
) -> None:
    """Keep a simulated core for vtep-ctl: vtep-ctl --via unix:vtep.sock show. Ctrl-C ends it."""
    from .register_socket import SocketError
    from .serve import serve

    inputs = {"tenant": tenant_in, "underlay": underlay_in, "host": host_in}
    with refusals():
        parameters = make_parameters(data_width, mode, mode, literals(parameter or []))
        wanted = None if config is None else load(config, limits_of(parameters))
        captures = {port: read_capture(path) for port, path in inputs.items() if path}
        traffic = {port: [frame for frame in capture.frames if frame.data] for port, capture in captures.items()}
        try:
            with Simulator(parameters, message=message) as simulator:
                if wanted is not None:
                    simulator.configure(wanted)
                serve(
                    simulator,
                    socket,
                    traffic=traffic,
                    rate=rate,
                    ready=lambda: message(f"the core's registers are at unix:{socket}"),
                )
        except SocketError as error:
            raise UsageError(str(error)) from None
        except KeyboardInterrupt:
            message("ended")


@app.command(epilog=exit_codes(broken="a tool is missing or failed, or the simulated core did"))
def bench(
    folder: Annotated[Path, typer.Option(help="Where tables, figures and plot go.")] = Path("build/bench"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure this part only (repeatable): bubbles, latency, rfc2544, speed, area, fill, updates.",
            show_default=False,
        ),
    ] = None,
    data_width: Annotated[
        list[int] | None,
        typer.Option(help="Of bubbles, latency and rfc2544, repeatable; all seven by default.", show_default=False),
    ] = None,
    mode: Annotated[
        list[Mode] | None,
        typer.Option(help="Of bubbles, latency and rfc2544, repeatable; both by default.", show_default=False),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(
            help="Of area: only blocks whose name and device hold this, for instance 'FCS' or 'xcup'; repeatable.",
            show_default=False,
        ),
    ] = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option(
            help="Clock that the rates of rfc2544 refer to; 156.25 by default, with --resume that of those there.",
            min=0.001,
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Leave out what the folder has of the present core: of rfc2544 whole cores, of area blocks. For a run "
            "that was ended before its time.",
        ),
    ] = False,
) -> None:
    """Measure rate, latency, the terms of RFC 2544, simulation speed, area, clock and fill; what was there stays."""
    # Scapy, the synthesis flow and the cocotb bench are not what `run` should wait for.
    from .bench.results import PARTS, measured_clocks
    from .bench.run import run_bench
    from .synth import ToolError

    with refusals(), progress_of("measuring", "measurements") as progress:
        unknown = [part for part in only or () if part not in PARTS]
        if unknown:
            raise UsageError(f"--only {unknown[0]}: there are {', '.join(PARTS)}")
        for width in data_width or ():
            make_parameters(width, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)
        clock = clock_mhz or max(measured_clocks(folder) if resume else (), default=156.25)
        command = ["vtep-sim bench", *(f"--only {part}" for part in only or ())]
        command += [f"--data-width {width}" for width in data_width or ()]
        command += [f"--mode {chosen.value}" for chosen in mode or ()]
        command += [f"--block '{part}'" for part in block or ()]
        command += [f"--clock-mhz {clock:g}"] if clock != 156.25 else []
        try:
            lines = run_bench(
                folder,
                only or PARTS,
                data_width or DATA_WIDTHS,
                mode or list(Mode),
                blocks=block or (),
                clock_mhz=clock,
                resume=resume,
                command=" ".join(command),
                message=message,
                progress=progress,
            )
        except (ToolError, ImportError, RuntimeError) as error:
            message(f"error: {error}")
            raise typer.Exit(BROKEN) from None
    console().print("\n".join([*lines, f"tables and plot: {folder}/bench.md, {folder}/bench.svg"]), markup=False)


@app.command(epilog=exit_codes(different="a waiver is stale"))
def coverage(
    folder: Annotated[
        Path, typer.Option(help="Where make coverage put the simulations, and where the report goes.")
    ] = Path("build/coverage"),
    command: Annotated[str, typer.Option(help="What the report gives as the command it comes from.")] = "make coverage",
) -> None:
    """Report what the system tests reached: lines and toggles of the core, rules of the specification, and holes."""
    from .coverage.merge import merge
    from .coverage.points import CoverageError
    from .coverage.report import make_report, table, write_listing, write_report
    from .coverage.waivers import load_waivers

    with refusals():
        try:
            report = make_report(merge(folder / "system"), load_waivers())
        except CoverageError as error:
            raise UsageError(str(error)) from None
        write_report(report, folder / "coverage.json", command)
        write_listing(report, folder / "listing")
    for part in table(report, bits=False):
        console().print(part, markup=False, emoji=False)
    console().print(
        f"report: {folder}/coverage.json, sources: {folder}/listing, this: {folder}/coverage.txt", markup=False
    )
    with (folder / "coverage.txt").open("w", encoding="utf-8") as file:
        plain = Console(file=file, width=120, soft_wrap=True, highlight=False)
        for part in table(report, bits=True):
            plain.print(part, markup=False, emoji=False)
    if report.stale:
        message("\n".join(["stale waivers:", *report.stale]))
        raise typer.Exit(DIFFERENT)


app.command(epilog=exit_codes())(live)
app.command(
    "live-demo",
    epilog=exit_codes(
        done="every step passed", different="a step failed", broken="the namespaces or the core could not be set up"
    ),
)(live_demo)
app.command("report", epilog=exit_codes())(report)
app.command()(synth)


def main() -> None:
    """Entry point."""
    app()
