"""The shared library of `harness.cpp`, seen from Python."""

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_uint, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path

__all__ = [
    "DONE",
    "FAILED",
    "OUT_OF_CLOCKS",
    "READ",
    "WAIT_CLEAR",
    "WANTS_INPUT",
    "WRITE",
    "Access",
    "Answer",
    "Library",
    "Record",
    "Statistics",
]

DONE, OUT_OF_CLOCKS, WANTS_INPUT, FAILED = range(4)
"""What ``vtep_run`` returns; -1 is an exception inside Verilator."""


READ, WRITE, WAIT_CLEAR = range(3)
"""Kinds of `Access`."""


class Record(ctypes.Structure):
    """One frame that passed a port: clocks of its first and last beat, bytes, error mark."""

    _fields_ = (("first", c_uint64), ("last", c_uint64), ("length", c_uint32), ("error", c_uint32))


class Statistics(ctypes.Structure):
    """What a port saw: beats that passed, and clocks with valid but without ready."""

    _fields_ = (("beats", c_uint64), ("waits", c_uint64))


class Access(ctypes.Structure):
    """An access of a register; ``value``: to write, or the bits that a wait waits to be clear."""

    _fields_ = (("kind", c_uint32), ("address", c_uint32), ("value", c_uint32))


class Answer(ctypes.Structure):
    """The response to an `Access`; ``value`` of a read."""

    _fields_ = (("value", c_uint32), ("response", c_uint32))


_FUNCTIONS = {
    "vtep_last_error": (c_char_p, ()),
    "vtep_open": (c_void_p, (c_char_p, c_uint64)),
    "vtep_close": (None, (c_void_p,)),
    "vtep_reset": (c_int, (c_void_p,)),
    "vtep_trace": (c_int, (c_void_p, c_char_p)),
    "vtep_census": (c_int, (c_void_p, c_char_p)),
    "vtep_pace": (None, (c_void_p, c_int, c_uint, c_uint32, c_uint32, c_uint64, c_uint32, c_uint32, c_uint64)),
    "vtep_schedule": (None, (c_void_p, c_uint, POINTER(c_uint64), c_uint64, c_uint64)),
    "vtep_push": (None, (c_void_p, c_uint, c_char_p, POINTER(c_uint32), POINTER(c_uint16), c_uint64)),
    "vtep_access": (None, (c_void_p, POINTER(Access), c_uint64)),
    "vtep_run": (c_int, (c_void_p, c_uint64, c_uint, c_uint64, c_int)),
    "vtep_error": (c_char_p, (c_void_p,)),
    "vtep_clock": (c_uint64, (c_void_p,)),
    "vtep_answers": (c_uint64, (c_void_p, POINTER(POINTER(Answer)))),
    "vtep_forget_answers": (None, (c_void_p,)),
    "vtep_inputs": (c_uint64, (c_void_p, c_uint, POINTER(POINTER(Record)))),
    "vtep_outputs": (
        c_uint64,
        (c_void_p, c_uint, POINTER(POINTER(Record)), POINTER(POINTER(c_uint8)), POINTER(c_uint64)),
    ),
    "vtep_lost": (c_uint64, (c_void_p, c_uint, POINTER(POINTER(c_uint64)))),
    "vtep_forget": (None, (c_void_p, c_uint)),
    "vtep_statistics": (None, (c_void_p, c_int, c_uint, POINTER(Statistics))),
    "vtep_data_width": (c_uint, ()),
    "vtep_traces": (c_uint, ()),
}


class Library:
    """Loads a library that `build_model` made; its functions become attributes without their prefix."""

    def __init__(self, path: Path) -> None:
        # RTLD_LOCAL, the default: models of several parameter sets live in one process.
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name.removeprefix("vtep_"), function)

    def __getattr__(self, name: str) -> "ctypes._FuncPointer":
        raise AttributeError(name)
