// Protocol monitor of one AXI4-Stream, for any Verilog simulator. It counts clocks on which a rule is broken.
//
// unstable: valid fell, or the payload changed, while the beat before was stalled (IHI 0051, section 2.2), or valid
//           is high under reset.
// ragged:   keep is empty or has a hole, or is not full on a beat without last.
// unknown:  a control signal is X or Z, or the payload is while valid.
`timescale 1ns / 1ps
module axis_monitor #(
    parameter W = 64,
    parameter U = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [W-1:0]     tdata,
    input  wire [W/8-1:0]   tkeep,
    input  wire             tvalid,
    input  wire             tready,
    input  wire             tlast,
    input  wire [U-1:0]     tuser,
    output reg  [31:0]      unstable,
    output reg  [31:0]      ragged,
    output reg  [31:0]      unknown,
    output reg              midframe
);
    localparam K = W / 8;
    localparam P = W + K + 1 + U;

    wire [P-1:0] payload = {tdata, tkeep, tlast, tuser};
    wire [K-1:0] one = 1;
    reg          stalled;
    reg  [P-1:0] held;
    reg          rst_before;

    initial begin
        unstable = 0;
        ragged = 0;
        unknown = 0;
        midframe = 0;
        stalled = 0;
        held = 0;
        rst_before = 0;
    end

    always @(posedge clk) begin
        rst_before <= rst;
        held <= payload;
        stalled <= !rst && tvalid && !tready;
        if (rst)
            midframe <= 0;
        else if (tvalid && tready)
            midframe <= !tlast;

        if (rst ? rst_before && tvalid : stalled && (!tvalid || payload != held))
            unstable <= unstable + 1;
        if (!rst && tvalid && (!tkeep[0] || (tkeep & (tkeep + one)) != 0 || (!tlast && !(&tkeep))))
            ragged <= ragged + 1;
        if (!rst && ((^{tvalid, tready}) === 1'bx || (tvalid && (^payload) === 1'bx)))
            unknown <= unknown + 1;
    end
endmodule
