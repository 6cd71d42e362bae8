// The core with a protocol monitor on each of its six packet streams. The ports are those of module `vtep`; the rest
// tells the bench, at the simulator's speed, what it would else have to look at on every clock in Python.
//
// unstable, ragged, unknown: counts of the monitors, 32 bits each, in the order s_axis_tenant, s_axis_underlay,
//           s_axis_host, m_axis_tenant, m_axis_underlay, m_axis_host from the low bits up.
// midframe:   a frame is half way through that stream (same order).
// idle_in, idle_out: clocks with `idle` high while a frame is half way through an input; while one leaves.
// activity: clocks on which any stream moved. quiet: clocks since `idle` was last low or a packet stream valid.
`timescale 1ns / 1ps
module vtep_bench #(
    parameter W = 64,
    parameter U = 1
) (
    input  wire           clk /* verilator public_flat_rw */,
    input  wire           rst /* verilator public_flat_rw */,
    input  wire [W-1:0]   s_axis_tenant_tdata /* verilator public_flat_rw */,
    input  wire [W/8-1:0] s_axis_tenant_tkeep /* verilator public_flat_rw */,
    input  wire           s_axis_tenant_tvalid /* verilator public_flat_rw */,
    output wire           s_axis_tenant_tready /* verilator public_flat_rw */,
    input  wire           s_axis_tenant_tlast /* verilator public_flat_rw */,
    input  wire [U-1:0]   s_axis_tenant_tuser /* verilator public_flat_rw */,
    input  wire [W-1:0]   s_axis_underlay_tdata /* verilator public_flat_rw */,
    input  wire [W/8-1:0] s_axis_underlay_tkeep /* verilator public_flat_rw */,
    input  wire           s_axis_underlay_tvalid /* verilator public_flat_rw */,
    output wire           s_axis_underlay_tready /* verilator public_flat_rw */,
    input  wire           s_axis_underlay_tlast /* verilator public_flat_rw */,
    input  wire [0:0]     s_axis_underlay_tuser /* verilator public_flat_rw */,
    input  wire [W-1:0]   s_axis_host_tdata /* verilator public_flat_rw */,
    input  wire [W/8-1:0] s_axis_host_tkeep /* verilator public_flat_rw */,
    input  wire           s_axis_host_tvalid /* verilator public_flat_rw */,
    output wire           s_axis_host_tready /* verilator public_flat_rw */,
    input  wire           s_axis_host_tlast /* verilator public_flat_rw */,
    input  wire [0:0]     s_axis_host_tuser /* verilator public_flat_rw */,
    output wire [W-1:0]   m_axis_tenant_tdata /* verilator public_flat_rw */,
    output wire [W/8-1:0] m_axis_tenant_tkeep /* verilator public_flat_rw */,
    output wire           m_axis_tenant_tvalid /* verilator public_flat_rw */,
    input  wire           m_axis_tenant_tready /* verilator public_flat_rw */,
    output wire           m_axis_tenant_tlast /* verilator public_flat_rw */,
    output wire [0:0]     m_axis_tenant_tuser /* verilator public_flat_rw */,
    output wire [W-1:0]   m_axis_underlay_tdata /* verilator public_flat_rw */,
    output wire [W/8-1:0] m_axis_underlay_tkeep /* verilator public_flat_rw */,
    output wire           m_axis_underlay_tvalid /* verilator public_flat_rw */,
    input  wire           m_axis_underlay_tready /* verilator public_flat_rw */,
    output wire           m_axis_underlay_tlast /* verilator public_flat_rw */,
    output wire [0:0]     m_axis_underlay_tuser /* verilator public_flat_rw */,
    output wire [W-1:0]   m_axis_host_tdata /* verilator public_flat_rw */,
    output wire [W/8-1:0] m_axis_host_tkeep /* verilator public_flat_rw */,
    output wire           m_axis_host_tvalid /* verilator public_flat_rw */,
    input  wire           m_axis_host_tready /* verilator public_flat_rw */,
    output wire           m_axis_host_tlast /* verilator public_flat_rw */,
    output wire [0:0]     m_axis_host_tuser /* verilator public_flat_rw */,
    input  wire [11:0]    s_axil_awaddr /* verilator public_flat_rw */,
    input  wire [2:0]     s_axil_awprot /* verilator public_flat_rw */,
    input  wire           s_axil_awvalid /* verilator public_flat_rw */,
    output wire           s_axil_awready /* verilator public_flat_rw */,
    input  wire [31:0]    s_axil_wdata /* verilator public_flat_rw */,
    input  wire [3:0]     s_axil_wstrb /* verilator public_flat_rw */,
    input  wire           s_axil_wvalid /* verilator public_flat_rw */,
    output wire           s_axil_wready /* verilator public_flat_rw */,
    output wire [1:0]     s_axil_bresp /* verilator public_flat_rw */,
    output wire           s_axil_bvalid /* verilator public_flat_rw */,
    input  wire           s_axil_bready /* verilator public_flat_rw */,
    input  wire [11:0]    s_axil_araddr /* verilator public_flat_rw */,
    input  wire [2:0]     s_axil_arprot /* verilator public_flat_rw */,
    input  wire           s_axil_arvalid /* verilator public_flat_rw */,
    output wire           s_axil_arready /* verilator public_flat_rw */,
    output wire [31:0]    s_axil_rdata /* verilator public_flat_rw */,
    output wire [1:0]     s_axil_rresp /* verilator public_flat_rw */,
    output wire           s_axil_rvalid /* verilator public_flat_rw */,
    input  wire           s_axil_rready /* verilator public_flat_rw */,
    input  wire           script_run /* verilator public_flat_rw */,
    output reg            script_done /* verilator public_flat_rw */,
    output wire           idle /* verilator public_flat_rw */,
    output wire [191:0]   unstable /* verilator public_flat_rw */,
    output wire [191:0]   ragged /* verilator public_flat_rw */,
    output wire [191:0]   unknown /* verilator public_flat_rw */,
    output wire [5:0]     midframe /* verilator public_flat_rw */,
    output reg  [31:0]    idle_in /* verilator public_flat_rw */,
    output reg  [31:0]    idle_out /* verilator public_flat_rw */,
    output reg  [31:0]    activity /* verilator public_flat_rw */,
    output reg  [31:0]    quiet /* verilator public_flat_rw */
);
    // The script: register accesses of a file, made one after the other. A line is kind (0 read, 1 write, 2 wait until
    // bits are clear), address, and value to write or bits to wait for. The answers go into another file: value and
    // response. It runs from a rising edge of `script_run`, and `script_done` rises when it is over.
    reg         running, ran, waiting;
    reg  [11:0] script_awaddr, script_araddr;
    reg  [31:0] script_wdata;
    wire [3:0]  script_wstrb = 4'hf;
    reg         script_awvalid, script_wvalid, script_arvalid;
    integer     file, answers, found;
    reg  [31:0] kind, address, operand;

    initial begin
        {running, ran, waiting, script_done, script_awvalid, script_wvalid, script_arvalid} = 0;
        {script_awaddr, script_araddr, script_wdata} = 0;
    end

    always @(posedge clk) begin
        ran <= script_run;
        if (s_axil_awready) script_awvalid <= 0;
        if (s_axil_wready) script_wvalid <= 0;
        if (s_axil_arready) script_arvalid <= 0;
        if (!script_run)
            script_done <= 0;
        if (script_run && !ran) begin
            file = $fopen("script.txt", "r");
            answers = $fopen("answers.txt", "w");
            found = $fscanf(file, "%h %h %h", kind, address, operand);
            running <= found == 3;
            script_done <= found != 3;
            waiting <= 0;
            if (found != 3) begin
                $fclose(file);
                $fclose(answers);
            end
        end else if (running && !waiting) begin
            waiting <= 1;
            if (kind == 1) begin
                {script_awvalid, script_wvalid} <= 3;
                script_awaddr <= address[11:0];
                script_wdata <= operand;
            end else begin
                script_arvalid <= 1;
                script_araddr <= address[11:0];
            end
        end else if (running && (s_axil_bvalid || s_axil_rvalid)) begin
            waiting <= 0;
            if (!(kind == 2 && s_axil_rresp == 0 && |(s_axil_rdata & operand))) begin
                $fdisplay(answers, "%h %h", kind == 1 ? 0 : s_axil_rdata, kind == 1 ? s_axil_bresp : s_axil_rresp);
                found = $fscanf(file, "%h %h %h", kind, address, operand);
                if (found != 3) begin
                    $fclose(file);
                    $fclose(answers);
                    running <= 0;
                    script_done <= 1;
                end
            end
        end
    end
    vtep core (
        .clk(clk),
        .rst(rst),
        .s_axis_tenant_tdata(s_axis_tenant_tdata),
        .s_axis_tenant_tkeep(s_axis_tenant_tkeep),
        .s_axis_tenant_tvalid(s_axis_tenant_tvalid),
        .s_axis_tenant_tready(s_axis_tenant_tready),
        .s_axis_tenant_tlast(s_axis_tenant_tlast),
        .s_axis_tenant_tuser(s_axis_tenant_tuser),
        .s_axis_underlay_tdata(s_axis_underlay_tdata),
        .s_axis_underlay_tkeep(s_axis_underlay_tkeep),
        .s_axis_underlay_tvalid(s_axis_underlay_tvalid),
        .s_axis_underlay_tready(s_axis_underlay_tready),
        .s_axis_underlay_tlast(s_axis_underlay_tlast),
        .s_axis_underlay_tuser(s_axis_underlay_tuser),
        .s_axis_host_tdata(s_axis_host_tdata),
        .s_axis_host_tkeep(s_axis_host_tkeep),
        .s_axis_host_tvalid(s_axis_host_tvalid),
        .s_axis_host_tready(s_axis_host_tready),
        .s_axis_host_tlast(s_axis_host_tlast),
        .s_axis_host_tuser(s_axis_host_tuser),
        .m_axis_tenant_tdata(m_axis_tenant_tdata),
        .m_axis_tenant_tkeep(m_axis_tenant_tkeep),
        .m_axis_tenant_tvalid(m_axis_tenant_tvalid),
        .m_axis_tenant_tready(m_axis_tenant_tready),
        .m_axis_tenant_tlast(m_axis_tenant_tlast),
        .m_axis_tenant_tuser(m_axis_tenant_tuser),
        .m_axis_underlay_tdata(m_axis_underlay_tdata),
        .m_axis_underlay_tkeep(m_axis_underlay_tkeep),
        .m_axis_underlay_tvalid(m_axis_underlay_tvalid),
        .m_axis_underlay_tready(m_axis_underlay_tready),
        .m_axis_underlay_tlast(m_axis_underlay_tlast),
        .m_axis_underlay_tuser(m_axis_underlay_tuser),
        .m_axis_host_tdata(m_axis_host_tdata),
        .m_axis_host_tkeep(m_axis_host_tkeep),
        .m_axis_host_tvalid(m_axis_host_tvalid),
        .m_axis_host_tready(m_axis_host_tready),
        .m_axis_host_tlast(m_axis_host_tlast),
        .m_axis_host_tuser(m_axis_host_tuser),
        .s_axil_awaddr(running ? script_awaddr : s_axil_awaddr),
        .s_axil_awprot(s_axil_awprot),
        .s_axil_awvalid(running ? script_awvalid : s_axil_awvalid),
        .s_axil_awready(s_axil_awready),
        .s_axil_wdata(running ? script_wdata : s_axil_wdata),
        .s_axil_wstrb(running ? script_wstrb : s_axil_wstrb),
        .s_axil_wvalid(running ? script_wvalid : s_axil_wvalid),
        .s_axil_wready(s_axil_wready),
        .s_axil_bresp(s_axil_bresp),
        .s_axil_bvalid(s_axil_bvalid),
        .s_axil_bready(running || s_axil_bready),
        .s_axil_araddr(running ? script_araddr : s_axil_araddr),
        .s_axil_arprot(s_axil_arprot),
        .s_axil_arvalid(running ? script_arvalid : s_axil_arvalid),
        .s_axil_arready(s_axil_arready),
        .s_axil_rdata(s_axil_rdata),
        .s_axil_rresp(s_axil_rresp),
        .s_axil_rvalid(s_axil_rvalid),
        .s_axil_rready(running || s_axil_rready),
        .idle(idle)
    );

    axis_monitor #(.W(W), .U(U)) monitor_s_tenant (
        .clk(clk), .rst(rst),
        .tdata(s_axis_tenant_tdata), .tkeep(s_axis_tenant_tkeep), .tvalid(s_axis_tenant_tvalid),
        .tready(s_axis_tenant_tready), .tlast(s_axis_tenant_tlast), .tuser(s_axis_tenant_tuser),
        .unstable(unstable[0 +: 32]), .ragged(ragged[0 +: 32]),
        .unknown(unknown[0 +: 32]), .midframe(midframe[0])
    );

    axis_monitor #(.W(W), .U(1)) monitor_s_underlay (
        .clk(clk), .rst(rst),
        .tdata(s_axis_underlay_tdata), .tkeep(s_axis_underlay_tkeep), .tvalid(s_axis_underlay_tvalid),
        .tready(s_axis_underlay_tready), .tlast(s_axis_underlay_tlast), .tuser(s_axis_underlay_tuser),
        .unstable(unstable[32 +: 32]), .ragged(ragged[32 +: 32]),
        .unknown(unknown[32 +: 32]), .midframe(midframe[1])
    );

    axis_monitor #(.W(W), .U(1)) monitor_s_host (
        .clk(clk), .rst(rst),
        .tdata(s_axis_host_tdata), .tkeep(s_axis_host_tkeep), .tvalid(s_axis_host_tvalid),
        .tready(s_axis_host_tready), .tlast(s_axis_host_tlast), .tuser(s_axis_host_tuser),
        .unstable(unstable[64 +: 32]), .ragged(ragged[64 +: 32]),
        .unknown(unknown[64 +: 32]), .midframe(midframe[2])
    );

    axis_monitor #(.W(W), .U(1)) monitor_m_tenant (
        .clk(clk), .rst(rst),
        .tdata(m_axis_tenant_tdata), .tkeep(m_axis_tenant_tkeep), .tvalid(m_axis_tenant_tvalid),
        .tready(m_axis_tenant_tready), .tlast(m_axis_tenant_tlast), .tuser(m_axis_tenant_tuser),
        .unstable(unstable[96 +: 32]), .ragged(ragged[96 +: 32]),
        .unknown(unknown[96 +: 32]), .midframe(midframe[3])
    );

    axis_monitor #(.W(W), .U(1)) monitor_m_underlay (
        .clk(clk), .rst(rst),
        .tdata(m_axis_underlay_tdata), .tkeep(m_axis_underlay_tkeep), .tvalid(m_axis_underlay_tvalid),
        .tready(m_axis_underlay_tready), .tlast(m_axis_underlay_tlast), .tuser(m_axis_underlay_tuser),
        .unstable(unstable[128 +: 32]), .ragged(ragged[128 +: 32]),
        .unknown(unknown[128 +: 32]), .midframe(midframe[4])
    );

    axis_monitor #(.W(W), .U(1)) monitor_m_host (
        .clk(clk), .rst(rst),
        .tdata(m_axis_host_tdata), .tkeep(m_axis_host_tkeep), .tvalid(m_axis_host_tvalid),
        .tready(m_axis_host_tready), .tlast(m_axis_host_tlast), .tuser(m_axis_host_tuser),
        .unstable(unstable[160 +: 32]), .ragged(ragged[160 +: 32]),
        .unknown(unknown[160 +: 32]), .midframe(midframe[5])
    );

    wire [5:0] valid = {
        m_axis_host_tvalid, m_axis_underlay_tvalid, m_axis_tenant_tvalid,
        s_axis_host_tvalid, s_axis_underlay_tvalid, s_axis_tenant_tvalid
    };
    wire [5:0] ready = {
        m_axis_host_tready, m_axis_underlay_tready, m_axis_tenant_tready,
        s_axis_host_tready, s_axis_underlay_tready, s_axis_tenant_tready
    };
    wire       moved = |(valid & ready) || running;

    initial begin
        idle_in = 0;
        idle_out = 0;
        activity = 0;
        quiet = 0;
    end

    always @(posedge clk) begin
        if (moved)
            activity <= activity + 1;
        if (rst || !idle || |valid)
            quiet <= 0;
        else
            quiet <= quiet + 1;
        if (!rst && idle && |midframe[2:0])
            idle_in <= idle_in + 1;
        if (!rst && idle && |valid[5:3])
            idle_out <= idle_out + 1;
    end
endmodule
