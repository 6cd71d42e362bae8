"""Simulation of the VTEP core: golden model, drivers, Verilated runner and benches."""
