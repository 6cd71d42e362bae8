"""`vtep_cases.replay`, when the environment asks for it."""

import os
from pathlib import Path

import pytest
from vtep_cases.builds import ALL

from vtep_sim.cocotb.build import prepare, simulate

REPLAY = os.environ.get("VTEP_REPLAY")

if REPLAY:

    def test_replay(system_root, here):
        path = Path(REPLAY).absolute()
        name = path.parent.name
        (build,) = [build for build in ALL if build.name == name]
        folder = prepare(build.parameters, system_root, name=name)
        environment = {"VTEP_REPLAY": str(path)}
        results = simulate(
            build.parameters,
            folder,
            ["vtep_cases.replay"],
            ["replay"],
            tag="replay",
            seed=0,
            python_path=[here],
            environment=environment,
        )
        failure = results["replay"].failure
        if failure:
            pytest.fail(failure, pytrace=False)
        print((folder / "replay.log").read_text()[-600:])
