"""A module with the ports of the core that passes tenant to underlay, underlay to tenant and host to host.

For tests of what drives the core. The lowest bits of the last configuration word choose a fault.
"""

from vtep.config import VtepParameters
from vtep.control.tables import write_layout

__all__ = ["FAULTS", "loopback"]

FAULTS = {
    "none": 0,
    "never ready": 1,
    "valid falls": 2,
    "hole": 3,
    "unstable": 4,
    "no last": 5,
    "never idle": 6,
    "unasked counter": 7,
    "endless": 8,
    "swallows last": 9,
    "fatal": 10,
    "partial": 11,
    "endless from the start": 12,
}


def loopback(parameters: VtepParameters) -> str:
    """Verilog of the module; a beat takes one clock, and counter n has the value 3 n + frames of tenant rx."""
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
  input [{write_layout(parameters).size - 1}:0] s_axis_config_tdata, input s_axis_config_tvalid,
  output s_axis_config_tready, input [22:0] s_axis_counter_tdata, input s_axis_counter_tvalid,
  output s_axis_counter_tready, output [63:0] m_axis_counter_tdata, output m_axis_counter_tvalid,
  input m_axis_counter_tready, output idle);
  reg [3:0] fault;
  wire endless = fault == 12 || fault == 8 && frames != 0;
  {"".join(bodies)}
  assign s_axis_config_tready = 1;
  assign s_axis_counter_tready = !answer || m_axis_counter_tready;
  reg answer; reg [63:0] value, frames;
  assign m_axis_counter_tvalid = answer || fault == 7;
  assign m_axis_counter_tdata = value;
  assign idle = fault != 6 && !({busy});
  always @(posedge clk) begin
    if (s_axis_config_tvalid) fault <= s_axis_config_tdata[3:0];
    if (s_axis_counter_tready) begin
      answer <= s_axis_counter_tvalid;
      value <= 3 * s_axis_counter_tdata + frames;
    end
    if (s_axis_tenant_tvalid && s_axis_tenant_tready && s_axis_tenant_tlast) frames <= frames + 1;
    if (fault == 10) $fatal;
    if (rst) {{fault, answer, frames}} <= 0;
  end
endmodule
"""
