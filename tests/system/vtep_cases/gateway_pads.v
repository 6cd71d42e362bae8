// The gateway with its pads: what is left are the wires of two PHYs, a serial line, and clocks.
`timescale 1ns / 1fs
module gateway_pads (
    input  wire       sync_clk /* verilator public_flat_rw */,
    input  wire       tx_clk /* verilator public_flat_rw */,
    input  wire       tx_clk_late /* verilator public_flat_rw */,
    input  wire       reset /* verilator public_flat_rw */,
    input  wire       serial_rx /* verilator public_flat_rw */,
    output wire       serial_tx /* verilator public_flat_rw */,
    // Of both ports; of each link: up, speed, full duplex.
    input  wire [3:0] told0 /* verilator public_flat_rw */,
    input  wire       rxc0 /* verilator public_flat_rw */,
    input  wire [3:0] rxd0 /* verilator public_flat_rw */,
    input  wire       rx_ctl0 /* verilator public_flat_rw */,
    output wire       txc0 /* verilator public_flat_rw */,
    output wire [3:0] txd0 /* verilator public_flat_rw */,
    output wire       tx_ctl0 /* verilator public_flat_rw */,
    input  wire [3:0] told1 /* verilator public_flat_rw */,
    input  wire       rxc1 /* verilator public_flat_rw */,
    input  wire [3:0] rxd1 /* verilator public_flat_rw */,
    input  wire       rx_ctl1 /* verilator public_flat_rw */,
    output wire       txc1 /* verilator public_flat_rw */,
    output wire [3:0] txd1 /* verilator public_flat_rw */,
    output wire       tx_ctl1 /* verilator public_flat_rw */
);
    wire [7:0] rxd0_pair, rxd1_pair, txd0_pair, txd1_pair;
    wire [1:0] rx_ctl0_pair, rx_ctl1_pair, txc0_pair, txc1_pair, tx_ctl0_pair, tx_ctl1_pair;

    rgmii_pads pads0 (
        .rxc(rxc0),
        .rxd(rxd0),
        .rx_ctl(rx_ctl0),
        .rxd_pair(rxd0_pair),
        .rx_ctl_pair(rx_ctl0_pair),
        .tx_clk(tx_clk),
        .tx_clk_late(tx_clk_late),
        .txc_pair(txc0_pair),
        .txd_pair(txd0_pair),
        .tx_ctl_pair(tx_ctl0_pair),
        .txc(txc0),
        .txd(txd0),
        .tx_ctl(tx_ctl0)
    );

    rgmii_pads pads1 (
        .rxc(rxc1),
        .rxd(rxd1),
        .rx_ctl(rx_ctl1),
        .rxd_pair(rxd1_pair),
        .rx_ctl_pair(rx_ctl1_pair),
        .tx_clk(tx_clk),
        .tx_clk_late(tx_clk_late),
        .txc_pair(txc1_pair),
        .txd_pair(txd1_pair),
        .tx_ctl_pair(tx_ctl1_pair),
        .txc(txc1),
        .txd(txd1),
        .tx_ctl(tx_ctl1)
    );

    gateway gateway (
        .sync_clk(sync_clk),
        .sync_rst(reset),
        .tx_clk(tx_clk),
        .tx_rst(reset),
        .rx0_clk(rxc0),
        .rx0_rst(reset),
        .rx1_clk(rxc1),
        .rx1_rst(reset),
        .gateway__serial_rx(serial_rx),
        .gateway__serial_tx(serial_tx),
        .gateway__ports__0__told(told0),
        .gateway__ports__0__receive__rxd(rxd0_pair),
        .gateway__ports__0__receive__rx_ctl(rx_ctl0_pair),
        .gateway__ports__0__transmit__txc(txc0_pair),
        .gateway__ports__0__transmit__txd(txd0_pair),
        .gateway__ports__0__transmit__tx_ctl(tx_ctl0_pair),
        .gateway__ports__1__told(told1),
        .gateway__ports__1__receive__rxd(rxd1_pair),
        .gateway__ports__1__receive__rx_ctl(rx_ctl1_pair),
        .gateway__ports__1__transmit__txc(txc1_pair),
        .gateway__ports__1__transmit__txd(txd1_pair),
        .gateway__ports__1__transmit__tx_ctl(tx_ctl1_pair)
    );
endmodule
