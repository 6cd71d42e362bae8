"""A module with the ports of the core that passes tenant to underlay, underlay to tenant and host to host.

For tests of what drives the core. The lowest bits of SCRATCH choose a fault.
"""

from vtep.config import VtepParameters
from vtep.control.registers import vtep_registers

__all__ = ["FAULTS", "loopback"]

FAULTS = {
    "none": 0,
    "never ready": 1,
    "valid falls": 2,
    "hole": 3,
    "unstable": 4,
    "no last": 5,
    "never idle": 6,
    "unasked response": 7,
    "endless": 8,
    "swallows last": 9,
    "fatal": 10,
    "partial": 11,
    "endless from the start": 12,
}


def loopback(parameters: VtepParameters) -> str:
    """Verilog of the module; a beat takes one clock. Registers read as after reset, whatever is written to them.

    Where there is no register a word reads as three times its address and the frames of tenant rx.
    """
    words = {address: one.reset for address, one, _ in vtep_registers(parameters).words() if one.readable}
    cases = "".join(f"12'h{address:x}: word = 32'h{value:x};" for address, value in words.items())
    width, lanes = parameters.data_width, parameters.lanes
    user = 15 if parameters.tenant_length else 1
    ports, bodies = [], []
    for source, sink in (("tenant", "underlay"), ("underlay", "tenant"), ("host", "host")):
        bits = user if source == "tenant" else 1
        ports += [
            f"input [{width - 1}:0] s_axis_{source}_tdata, input [{lanes - 1}:0] s_axis_{source}_tkeep,",
            f"input s_axis_{source}_tvalid, output s_axis_{source}_tready, input s_axis_{source}_tlast,",
            f"input [{bits - 1}:0] s_axis_{source}_tuser,",
            f"output [{width - 1}:0] m_axis_{sink}_tdata, output [{lanes - 1}:0] m_axis_{sink}_tkeep,",
            f"output m_axis_{sink}_tvalid, input m_axis_{sink}_tready, output m_axis_{sink}_tlast,",
            f"output m_axis_{sink}_tuser,",
        ]
        bodies.append(f"""
  reg [{width - 1}:0] {sink}_data; reg [{lanes - 1}:0] {sink}_keep; reg {sink}_valid, {sink}_last, {sink}_error;
  reg {sink}_stalled, {sink}_middle;
  assign s_axis_{source}_tready = fault != 1 && (!{sink}_valid || m_axis_{sink}_tready);
  assign m_axis_{sink}_tvalid = endless || {sink}_valid && !(fault == 2 && {sink}_stalled);
  assign m_axis_{sink}_tdata = {sink}_data ^ (fault == 4 && {sink}_stalled);
  assign m_axis_{sink}_tkeep = endless ? ~{lanes}'d0 : fault == 3 ? {sink}_keep & ~{lanes}'d1
    : fault == 11 ? {sink}_keep >> 1 : {sink}_keep;
  assign m_axis_{sink}_tlast = endless || {sink}_last && fault != 5;
  assign m_axis_{sink}_tuser = {sink}_error;
  always @(posedge clk) begin
    {sink}_stalled <= m_axis_{sink}_tvalid && !m_axis_{sink}_tready;
    if (s_axis_{source}_tready) begin
      {sink}_valid <= s_axis_{source}_tvalid && !(fault == 9 && s_axis_{source}_tlast);
      {sink}_data <= s_axis_{source}_tdata;
      {sink}_keep <= s_axis_{source}_tkeep;
      {sink}_last <= s_axis_{source}_tlast;
      {sink}_error <= s_axis_{source}_tuser[0] && s_axis_{source}_tlast;
      if (s_axis_{source}_tvalid) {sink}_middle <= !s_axis_{source}_tlast;
    end
    if (rst) {{{sink}_valid, {sink}_stalled, {sink}_middle}} <= 0;
  end""")
    busy = " || ".join(f"{sink}_valid || {sink}_middle" for sink in ("tenant", "underlay", "host"))
    return f"""module vtep(input clk, input rst,
  {" ".join(ports)}
  input [11:0] s_axil_awaddr, input [2:0] s_axil_awprot, input s_axil_awvalid, output s_axil_awready,
  input [31:0] s_axil_wdata, input [3:0] s_axil_wstrb, input s_axil_wvalid, output s_axil_wready,
  output [1:0] s_axil_bresp, output reg s_axil_bvalid, input s_axil_bready,
  input [11:0] s_axil_araddr, input [2:0] s_axil_arprot, input s_axil_arvalid, output s_axil_arready,
  output reg [31:0] s_axil_rdata, output [1:0] s_axil_rresp, output s_axil_rvalid, input s_axil_rready,
  output idle);
  reg [3:0] fault;
  wire endless = fault == 12 || fault == 8 && frames != 0;
  {"".join(bodies)}
  reg answer; reg [31:0] word, frames;
  assign s_axil_awready = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
  assign s_axil_wready = s_axil_awready;
  assign s_axil_arready = !answer;
  assign s_axil_rvalid = answer || fault == 7;
  assign s_axil_bresp = 0;
  assign s_axil_rresp = 0;
  always @*
    case (s_axil_araddr)
      {cases}
      default: word = 3 * s_axil_araddr + frames;
    endcase
  assign idle = fault != 6 && !({busy});
  always @(posedge clk) begin
    if (s_axil_bready) s_axil_bvalid <= 0;
    if (s_axil_awready) begin
      s_axil_bvalid <= 1;
      if (s_axil_awaddr == {vtep_registers(parameters)["SCRATCH"].address}) fault <= s_axil_wdata[3:0];
    end
    if (s_axil_rready) answer <= 0;
    if (s_axil_arready && s_axil_arvalid) begin
      answer <= 1;
      s_axil_rdata <= word;
    end
    if (s_axis_tenant_tvalid && s_axis_tenant_tready && s_axis_tenant_tlast) frames <= frames + 1;
    if (fault == 10) $fatal;
    if (rst) {{fault, answer, frames, s_axil_bvalid}} <= 0;
  end
endmodule
"""
