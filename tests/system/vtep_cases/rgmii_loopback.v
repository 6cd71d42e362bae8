// The RGMII of `mac_designs.RgmiiLoopBack` with its pads: what is left are the wires of a PHY, and three clocks.
`timescale 1ns / 1fs
module rgmii_loopback (
    input  wire       sync_clk,
    input  wire       sync_rst,
    input  wire       rx_rst,
    input  wire       tx_clk,
    input  wire       tx_clk_late,
    input  wire       tx_rst,
    input  wire [1:0] speed,
    input  wire       rxc,
    input  wire [3:0] rxd,
    input  wire       rx_ctl,
    output wire       txc,
    output wire [3:0] txd,
    output wire       tx_ctl
);
    wire [7:0] rxd_pair, txd_pair;
    wire [1:0] rx_ctl_pair, tx_ctl_pair, txc_pair;

    rgmii_pads pads (.*);

    mac_loopback mac (
        .sync_clk(sync_clk),
        .sync_rst(sync_rst),
        .rx_clk(rxc),
        .rx_rst(rx_rst),
        .tx_clk(tx_clk),
        .tx_rst(tx_rst),
        .speed(speed),
        .receive__rxd(rxd_pair),
        .receive__rx_ctl(rx_ctl_pair),
        .transmit__txc(txc_pair),
        .transmit__txd(txd_pair),
        .transmit__tx_ctl(tx_ctl_pair)
    );
endmodule
