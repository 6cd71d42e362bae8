"""Coverage of the system tests: which lines and bits of the core they reach, and which rules of SPEC.md.

- `points`, `plan`: what functional coverage asks for, as one table of points and their bins;
- `reading`, `sampler`: what a frame is, read from its bytes and the configuration, and which bins it hits;
- `observer`: inside a simulation, counts what went through the core once the scoreboard has found it right;
- `structure`, `verilated`: lines and toggles that Verilator counted, by the Python sources of the core;
- `waivers`, `merge`, `report`: all simulations together, holes with their reasons, as JSON and as a table.
"""

VARIABLE = "VTEP_COVERAGE"
"""Environment variable that names the file for the hits of a simulation; without it nothing is observed."""
