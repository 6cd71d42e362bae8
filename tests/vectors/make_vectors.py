#!/usr/bin/env python3
"""Make the captures of this folder afresh with the Linux kernel's own VXLAN devices.

Needs root, iproute2, tcpdump and what `make setup` sets up; leaves nothing behind but the files. See README.md.
"""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from kernel_lab.capture_file import write_capture
from kernel_lab.lab import Lab
from kernel_lab.scenarios import SCENARIOS, Scenario
from kernel_lab.summary import table, update

from vtep_sim.live.namespace import CommandError

FOLDER = Path(__file__).resolve().parent
PORTS = ("underlay-in", "underlay-out", "tenant-in", "tenant-out")


def _make(scenario: Scenario, out: Path) -> str:
    config = FOLDER / scenario.name / "vtep.toml"
    with Lab(config) as lab:
        lab.start_captures()
        scenario.play(lab)
        ports = lab.stop_captures()
        mtu = lab.config["vtep"].get("underlay_mtu", 1500)
    too_long = [len(p.data) for port in ("underlay-in", "underlay-out") for p in ports[port] if len(p.data) > mtu + 18]
    if too_long:
        raise SystemExit(f"{scenario.name}: frames of {too_long} bytes on an underlay of MTU {mtu}")
    target = out / scenario.name
    target.mkdir(parents=True, exist_ok=True)
    suffix = "pcapng" if scenario.form == "pcapng" else "pcap"
    for port in PORTS:
        write_capture(target / f"{port}.{suffix}", ports[port], scenario.form)
    counts = ", ".join(f"{port} {len(ports[port])}" for port in PORTS)
    return f"{scenario.name}: {counts}"


def main() -> None:
    """Make all captures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="captures to make (all)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write (this folder)")
    parser.add_argument("--table", action="store_true", help="make nothing; print the table of the captures that exist")
    options = parser.parse_args()
    if options.table:
        print(table(options.out))
        return
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no capture named {', '.join(unknown)}; there are {', '.join(known)}")
    if os.geteuid() != 0:
        sys.exit("make_vectors.py needs root, for network namespaces")
    for tool, package in (("ip", "iproute2"), ("bridge", "iproute2"), ("tcpdump", "tcpdump")):
        if shutil.which(tool) is None:
            sys.exit(f"'{tool}' is missing: install the package {package}")
    # So that it unwinds like an interrupt and removes its temporary files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    # One processor for everything: frames then keep one order on all devices.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in options.names or known:
        try:
            print(_make(known[name], options.out), flush=True)
        except CommandError as error:
            sys.exit(f"{name}: {error}")
    if options.out == FOLDER:
        update(FOLDER / "README.md", FOLDER)


if __name__ == "__main__":
    main()
