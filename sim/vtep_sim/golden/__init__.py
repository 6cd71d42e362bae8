"""Golden model of the VTEP: SPEC.md in Python, on Scapy and zlib, sharing nothing with the gateware."""

from .fcs import append_fcs, fcs, strip_fcs
from .flow import flow_hash, toeplitz
from .model import Frame, GoldenModel, Prediction

__all__ = ["Frame", "GoldenModel", "Prediction", "append_fcs", "fcs", "flow_hash", "strip_fcs", "toeplitz"]
