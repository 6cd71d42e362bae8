"""Comparisons with constants as plain logic: Yosys would spend a carry chain on each, and LUTs more at its ends."""

__all__ = ["COMPARE"]

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
"""A map for Yosys' ``techmap``, to be used before its synthesis."""
