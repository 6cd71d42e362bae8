"""The top of a bitstream: a design, and what joins it to a board's pins. Nothing of any one board is in it."""

from amaranth.hdl import DomainRenamer, Elaboratable, Instance, IOPort, Module, Signal, Value
from amaranth.lib import wiring

from vtep.mac.led import LinkLed
from vtep.mac.phy import PhyManager

from .clocks import CORE_HZ, add_clocks
from .design import port_domains
from .facts.board import Board
from .pads import RgmiiPads, input_pad, output_pad

__all__ = ["Top"]


class Top(Elaboratable):
    """A design on a board.

    PHYs are reset (unless one makes the board's clock) and set up; lights: one a port, lit while its link is up and
    blinking with traffic. A board with a single light shows both links and all traffic with it.

    Parameters
    ----------
    board : Board
    design : wiring.Component
        See `design_signature`. It may have fewer ports than the board, whose last ones then are idle.

    Attributes
    ----------
    pins : dict of IOPort
        By the names of `Board.pins`.
    """

    def __init__(self, board: Board, design: wiring.Component) -> None:
        self._board, self._design = board, design
        self.pins = {name: IOPort(1, name=name) for name, _, _ in board.pins()}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        board, design = self._board, self._design
        receive: dict[str, Value] = {
            port_domains(number)["rx"]: input_pad(m, f"port{number}_rxc", self.pins[f"port{number}_rxc"])
            for number in range(len(design.ports))
        }
        add_clocks(m, input_pad(m, "clock", self.pins["clock"]), board.clock.hz, receive)
        m.submodules.design = design
        managers = [self._manager(m, number) for number in range(len(board.managements))]
        for number, port in enumerate(board.ports[: len(design.ports)]):
            prefix = f"port{number}_"
            pads = RgmiiPads(
                {name.removeprefix(prefix): pin for name, pin in self.pins.items() if name.startswith(prefix)},
                receive_taps=board.receive_taps,
                transmit_taps=board.transmit_taps,
            )
            m.submodules[f"{prefix}pads"] = DomainRenamer(port_domains(number))(pads)
            wiring.connect(m, pads.receive, design.ports[number].receive)
            wiring.connect(m, design.ports[number].transmit, pads.transmit)
            m.d.comb += design.ports[number].told.eq(managers[board.managements.index(port.management)].link)
        m.d.comb += design.serial_rx.eq(input_pad(m, "serial_rx", self.pins["serial_rx"]))
        output_pad(m, "serial_tx", self.pins["serial_tx"], design.serial_tx)
        self._lights(m)
        return m

    def _manager(self, m: Module, number: int) -> PhyManager:
        phy = self._board.phy
        manager = PhyManager(
            CORE_HZ,
            reset_ms=0 if self._board.clock.from_phy else phy.reset_ms,
            settle_ms=phy.settle_ms,
            setup=phy.setup,
            status=phy.status,
        )
        m.submodules[f"phy{number}"] = manager
        pins = manager.pins
        output_pad(m, f"phy{number}_reset_n", self.pins[f"phy{number}_reset_n"], ~manager.reset)
        output_pad(m, f"phy{number}_mdc", self.pins[f"phy{number}_mdc"], pins.mdc)
        m.submodules[f"phy{number}_mdio_pad"] = Instance(
            "BB",
            i_I=pins.mdio_o,
            i_T=~pins.mdio_oe,
            o_O=pins.mdio_i,
            io_B=self.pins[f"phy{number}_mdio"],
        )
        return manager

    def _lights(self, m: Module) -> None:
        ports = [(port.link.up, port.activity) for port in self._design.ports]
        leds = self._board.leds
        shown = [(ports[0][0] & ports[1][0], ports[0][1] | ports[1][1])] if len(leds) == 1 else ports
        for number, led in enumerate(leds):
            lit = Signal(name=f"led{number}_lit")
            if number < len(shown):
                m.submodules[f"led{number}"] = light = LinkLed(CORE_HZ)
                up, activity = shown[number]
                m.d.comb += [light.up.eq(up), light.activity.eq(activity), lit.eq(light.on)]
            output_pad(m, f"led{number}", self.pins[f"led{number}"], lit ^ led.active_low)
