"""Runs one simulation: ``python -m vtep_sim.cocotb.simulate FILE``, the file being JSON that `build.simulate` made.

A process of its own, since cocotb's runner speaks through environment variables and sys.exit.
"""

import json
import os
import re
import sys
from pathlib import Path

from .build import _environment, _Runner


def main() -> None:
    """Run the simulation that the command line asks for."""
    order = json.loads(Path(sys.argv[1]).read_text())
    _environment()
    sys.path[:0] = order["path"]
    # The runner lets the environment go before what it is told, so it is told there.
    os.environ.update(order["environment"])
    folder = Path(order["folder"])
    names = "|".join(re.escape(case) for case in order["cases"])
    _Runner().test(
        test_module=order["modules"],
        hdl_toplevel=order["top"],
        hdl_toplevel_lang="verilog",
        build_dir=folder / "sim",
        test_dir=folder,
        results_xml=order["results"],
        plusargs=order["plusargs"],
        test_filter=rf"\.({names})$",
        timescale=("1ns", "1ps"),
        log_file=order["log"],
    )


if __name__ == "__main__":
    main()
