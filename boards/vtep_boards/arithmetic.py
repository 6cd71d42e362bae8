"""Arithmetic in fewer LUTs than the tools make of it by themselves.

Each carry chain costs LUTs at its ends: nextpnr puts a cell in front, to bring the first carry in, and one behind, to
bring the last one out. So short sums and comparisons with constants become plain logic here, a chain makes its first
carry in a half of a cell, which is often free, and what nobody reads is not brought out.
"""

from collections import Counter
from typing import Any

__all__ = ["ADD", "COMPARE", "detach_carries"]

COMPARE = """\
(* techmap_celltype = "$lt $le $gt $ge" *)
module compare_with_constant (A, B, Y);
    parameter _TECHMAP_CELLTYPE_ = "";
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CONSTMSK_A_ = 0;
    parameter _TECHMAP_CONSTMSK_B_ = 0;
    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;
    localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH;
    wire _TECHMAP_FAIL_ = A_SIGNED || B_SIGNED || !(&_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_);
    wire [WIDTH-1:0] a = A, b = B;
    // From the lowest bit up: so far A is less, or more.
    wire [WIDTH:0] less, more;
    assign less[0] = 0, more[0] = 0;
    genvar i;
    generate
        for (i = 0; i < WIDTH; i = i + 1) begin
            assign less[i+1] = b[i] ? ~a[i] | less[i] : ~a[i] & less[i];
            assign more[i+1] = b[i] ? a[i] & more[i] : a[i] | more[i];
        end
    endgenerate
    assign Y = _TECHMAP_CELLTYPE_ == "$lt" ? less[WIDTH] :
               _TECHMAP_CELLTYPE_ == "$le" ? ~more[WIDTH] :
               _TECHMAP_CELLTYPE_ == "$gt" ? more[WIDTH] : ~less[WIDTH];
endmodule
"""
"""A map for Yosys' ``techmap``, to be used before its synthesis: comparisons with constants as plain logic."""

ADD = """\
`define LOGIC 3
`define LOGIC_WITH_CONSTANT 8
(* techmap_celltype = "$alu" *)
module add (A, B, CI, BI, X, Y, CO);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CONSTMSK_A_ = 0;
    parameter _TECHMAP_CONSTMSK_B_ = 0;
    parameter _TECHMAP_CONSTMSK_CI_ = 0;
    parameter _TECHMAP_CONSTMSK_BI_ = 0;
    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    input CI, BI;
    output [Y_WIDTH-1:0] X, Y, CO;
    localparam CONSTANT =
        (&_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_) && _TECHMAP_CONSTMSK_CI_ && _TECHMAP_CONSTMSK_BI_;
    wire [Y_WIDTH-1:0] a, b;
    \\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) widen_a (.A(A), .Y(a));
    \\$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) widen_b (.A(B), .Y(b));
    assign X = a ^ b ^ {Y_WIDTH{BI}};
    genvar i;
    generate
        if (Y_WIDTH <= (CONSTANT ? `LOGIC_WITH_CONSTANT : `LOGIC)) begin
            wire [Y_WIDTH:0] carry;
            assign carry[0] = CI, Y = X ^ carry[Y_WIDTH-1:0], CO = carry[Y_WIDTH:1];
            for (i = 0; i < Y_WIDTH; i = i + 1)
                assign carry[i+1] = X[i] ? carry[i] : a[i];
        end else begin
            // Halves of cells: one that makes the first carry, one for each bit, one that tells the last carry.
            localparam CELLS = (Y_WIDTH + 3) / 2;
            wire [2*CELLS-1:0] half_a = {a, CI}, half_b = {b, 1'b0}, sum;
            wire [CELLS:0] carry;
            assign carry[0] = 1'b0;
            for (i = 0; i < CELLS; i = i + 1) begin
                // D, C, B and A choose a bit of INIT. D is high: the upper half is the sum without the carry that comes
                // in. Where that is 0, the carry that goes out is in the lowest quarter, which B and A choose from.
                localparam FIRST = i == 0, LOW_ADDS = 2 * i <= Y_WIDTH, HIGH_ADDS = 2 * i + 1 <= Y_WIDTH;
                CCU2C #(
                    .INIT0(FIRST ? 16'h000A : LOW_ADDS ? 16'h96AA : 16'h0000), .INJECT1_0("NO"),
                    .INIT1(HIGH_ADDS ? 16'h96AA : 16'h0000), .INJECT1_1("NO")
                ) pair (
                    .CIN(carry[i]), .COUT(carry[i+1]),
                    .A0(half_a[2*i]), .B0(half_b[2*i]), .C0(LOW_ADDS ? BI : 1'b0), .D0(1'b1), .S0(sum[2*i]),
                    .A1(half_a[2*i+1]), .B1(half_b[2*i+1]), .C1(HIGH_ADDS ? BI : 1'b0), .D1(1'b1), .S1(sum[2*i+1])
                );
            end
            assign Y = sum[Y_WIDTH:1];
            assign CO = {sum[Y_WIDTH+1], Y[Y_WIDTH-1:1] ^ X[Y_WIDTH-1:1]};
        end
    endgenerate
endmodule
"""
"""A map for Yosys' ``techmap``, to be used in front of ``synth_ecp5``'s ``map_gates``: sums, differences and the
comparisons that are made of them. `detach_carries` belongs to it."""


def detach_carries(netlist: dict[str, Any]) -> None:
    """Disconnect the first carry of each chain of `ADD`, which counts for nothing, and the last if nobody reads it.

    Where synthesis found a carry constant and so cut a chain, what is behind begins with that carry, which stays.

    Parameters
    ----------
    netlist : dict
        The top module, flat, as Yosys' ``write_json`` gives it. It is changed.
    """
    readers = Counter(
        bit
        for cell in netlist["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input"
        for bit in bits
    )
    for cell in netlist["cells"].values():
        if cell["type"] == "CCU2C":
            pins = cell["connections"]
            makes_carry = int(cell["parameters"]["INIT0"], 2) == 0x000A and pins["D0"] == ["1"]
            if isinstance(pins["CIN"][0], str) and makes_carry:
                pins["CIN"] = ["x"]
            if not readers[pins["COUT"][0]]:
                pins["COUT"] = ["x"]
