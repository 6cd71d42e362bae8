// The pads of an RGMII: two bits a clock at each, as the double-data-rate cells of an FPGA take and give them.
//
// Receive: what stands on the wires at the rising edge of rxc and at the falling one behind it comes out together, at
// the next rising edge. Transmit: what goes in stands on the wires for the first half of a clock, and for the second
// one. The clock of the line leaves by tx_clk_late, which is tx_clk 2 ns later: the delay that the receiver needs.
// Index 0 is first in time.
`timescale 1ns / 1fs
module rgmii_pads (
    input  wire       rxc,
    input  wire [3:0] rxd,
    input  wire       rx_ctl,
    output reg  [7:0] rxd_pair,
    output reg  [1:0] rx_ctl_pair,
    input  wire       tx_clk,
    input  wire       tx_clk_late,
    input  wire [1:0] txc_pair,
    input  wire [7:0] txd_pair,
    input  wire [1:0] tx_ctl_pair,
    output wire       txc,
    output wire [3:0] txd,
    output wire       tx_ctl
);
    reg [4:0] rising, falling;
    always @(posedge rxc) begin
        rising <= {rx_ctl, rxd};
        {rx_ctl_pair[0], rxd_pair[3:0]} <= rising;
        {rx_ctl_pair[1], rxd_pair[7:4]} <= falling;
    end
    always @(negedge rxc) falling <= {rx_ctl, rxd};

    reg [11:0] leaving;
    always @(posedge tx_clk) leaving <= {txc_pair, tx_ctl_pair, txd_pair};
    assign txd = tx_clk ? leaving[3:0] : leaving[7:4];
    assign tx_ctl = tx_clk ? leaving[8] : leaving[9];

    reg [1:0] clock;
    always @(posedge tx_clk_late) clock <= leaving[11:10];
    assign txc = tx_clk_late ? clock[0] : clock[1];
endmodule
