"""One HTML page with all figures: measurements, tests and coverage, as far as they are there."""
