"""System test bench of the Verilog core: cocotb, cocotbext-axi, and an AXI4-Stream monitor in plain Verilog.

The modules here run on either side of the simulator:

- `frames`, `traffic`, `scoreboard`: plain Python, no simulator needed;
- `streams`, `ports`, `bench`: inside the simulator, under cocotb;
- `build`, `simulate`: outside, they make the Verilog and the simulator and start it.
"""
