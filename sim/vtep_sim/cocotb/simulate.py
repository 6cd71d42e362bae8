"""Runs one simulation: ``python -m vtep_sim.cocotb.simulate ORDER``, ORDER being JSON made by `build.simulate`.

A process of its own, since cocotb's runner speaks through environment variables and sys.exit.
"""

import json
import re
import sys
from pathlib import Path

from .build import _environment, _Runner


def main() -> None:
    """Run the simulation that the command line asks for."""
    order = json.loads(sys.argv[1])
    _environment()
    sys.path[:0] = order["path"]
    folder = Path(order["folder"])
    names = "|".join(re.escape(case) for case in order["cases"])
    _Runner().test(
        test_module=order["module"],
        hdl_toplevel=order["top"],
        hdl_toplevel_lang="verilog",
        build_dir=folder / "sim",
        test_dir=folder,
        results_xml=order["results"],
        test_filter=rf"\.({names})$",
        extra_env=order["environment"],
        timescale=("1ns", "1ps"),
        log_file=order["log"],
    )


if __name__ == "__main__":
    main()
