"""Measurements behind ``make bench``: rate, latency, simulation speed, area and clock, as tables and a plot."""
