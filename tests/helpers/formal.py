"""Proofs without bound of properties of gateware, by `pdr` of the ABC that comes with pyosys.

A proof is a component whose inputs are free: its `Assume` statements say what they keep to, its `Assert` statements
what then holds in every clock. Reset is an input like any other. Registers start with their initial values.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyosys
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Module, Signal, Value
from amaranth.lib import wiring

from vtep.stream.checker import PacketChecker

ABC = Path(pyosys.__file__).parent / "yosys-abc"
TIMEOUT = 300
"""Seconds."""

_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    libyosys.run_pass(line, design)
"""

_SCRIPT = """
read_rtlil proof.il
prep -flatten -top top
async2sync
chformal -lower
memory_map
opt -full -fast
techmap
opt -full -fast
dffunmap
simplemap
aigmap
opt_clean
delete -output
delete t:$scopeinfo
write_aiger -zinit proof.aig
"""


def _run(command: list[Any], folder: Path, text: str = "") -> str:
    done = subprocess.run(
        command, cwd=folder, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}"
    return done.stdout


def prove(proof: wiring.Component, folder: Path) -> None:
    """Prove every `Assert` in ``proof``; AssertionError tells in how many clocks one of them can be broken.

    A proof whose assumptions contradict each other would prove anything; see `reachable`.
    """
    answer = _check(proof, folder)
    assert answer is None, f"an assertion fails {answer} clocks after the start"


def reachable(proof: wiring.Component, folder: Path) -> int:
    """Return after how many clocks an `Assert` in ``proof`` can fail at the earliest found; AssertionError if never."""
    answer = _check(proof, folder)
    assert answer is not None, "no state is reached in which an assertion fails"
    return answer


def _check(proof: wiring.Component, folder: Path) -> int | None:
    (folder / "proof.il").write_text(rtlil.convert(proof, name="top", emit_src=False))
    _run([sys.executable, "-c", _YOSYS], folder, _SCRIPT.strip())
    said = _run([ABC, "-c", "read_aiger proof.aig; fold; strash; orpos; pdr"], folder)
    (folder / "abc.log").write_text(said)
    if "Property proved." in said:
        return None
    failed = re.search(r"asserted in frame (\d+)", said)
    assert failed, f"no verdict:\n{said[-2000:]}"
    return int(failed[1])


def assume_stream(m: Module, stream: Any) -> None:
    """Assume that what drives a stream, packet stream or other, keeps ``valid`` and the payload until the transfer."""
    waiting = Signal()
    before = Signal(Value.cast(stream.payload).shape())
    m.d.sync += [waiting.eq(stream.valid & ~stream.ready), before.eq(stream.payload)]
    m.d.comb += Assume(~waiting | (stream.valid & (before == Value.cast(stream.payload))))


def assume_packets(m: Module, stream: Any) -> None:
    """Assume that a stream keeps the rules of packet streams."""
    assume_stream(m, stream)
    m.d.comb += Assume(~stream.valid | stream.payload.last | (stream.payload.empty == 0))


def assert_packets(m: Module, stream: Any) -> None:
    """Assert, through `PacketChecker`, that a stream keeps the rules of packet streams."""
    checker = PacketChecker(stream.payload.data.shape().width)
    m.submodules += checker
    checker.watch(m, stream)
    m.d.comb += Assert(Value.cast(checker.violation) == 0)


def numbered(m: Module, stream: Any, number: Value) -> Value:
    """Whether the token on a stream bears its number, counted from 0 and around, where ``number`` has it."""
    count = Signal(number.shape())
    with m.If(stream.valid & stream.ready):
        m.d.sync += count.eq(count + 1)
    return ~stream.valid | (number == count)
