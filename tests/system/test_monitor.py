"""The protocol monitor of the bench can see what it is there to see."""

import pytest

from vtep_sim.cocotb.build import MONITOR, prepare_monitor, simulate

CASES = (
    "a_stream_that_keeps_the_rules_counts_nothing",
    "every_change_of_a_stalled_beat_is_counted",
    "valid_under_reset_is_counted",
    "every_wrong_keep_is_counted",
)


@pytest.mark.parametrize("width", [8, 16, 64])
def test_monitor(width, system_root, here):
    folder = prepare_monitor(system_root, width)
    results = simulate(None, folder, ["vtep_cases.monitor"], CASES, top=MONITOR, seed=0, python_path=[here])
    for name, result in results.items():
        assert result.failure is None, f"{name}: {result.failure}"
