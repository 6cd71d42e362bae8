"""A gateway's registers on its serial line: those of the core, and its own."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vtep.control.gateway_registers import GATEWAY_BASE, GATEWAY_COUNTERS, PLACE_BITS, gateway_registers
from vtep.control.register_bus import register_bus
from vtep.control.register_file import RegisterFile
from vtep.control.register_map import WORD_BITS, WORD_BYTES
from vtep.control.serial_bridge import SerialBridge
from vtep.local.mailbox import mailbox_signature
from vtep.local.neighbors import Place
from vtep.local.sequencer import table_write
from vtep.local.word_read import BYTE_BITS, read_word
from vtep.mac.rgmii import link_layout

__all__ = ["GatewayControl"]


def _neighbor_ports(neighbors: int) -> dict[str, Any]:
    return {
        "write": Out(stream.Signature(table_write(neighbors))),
        "read": Out(1),
        "read_index": Out(range(neighbors)),
        "read_place": Out(PLACE_BITS),
        "read_data": In(8),
    }


class GatewayControl(wiring.Component):
    """`SerialBridge` in front of the core's registers, from 0 on, and of `gateway_registers`, from `GATEWAY_BASE` on.

    Parameters
    ----------
    configuration, neighbors, mailbox : int
        See `gateway_registers`; neighbours, or a mailbox, or neither.
    clock_hz, baud : int
        See `SerialBridge`.

    Attributes
    ----------
    serial_rx, serial_tx
        ``rx`` and ``tx`` of `SerialBridge`.
    core : Out(`register_bus`)
        Byte addresses below `GATEWAY_BASE`.
    links : array of `link_layout`, in
        Of the tenant's and the underlay's port.
    write, read, read_index, read_place, read_data
        For `LocalStack`, where there are neighbours. Four bytes are read in as many clocks.
    mailbox : Out(`mailbox_signature`)
        For `HostMailbox`, where there is one.
    clear, take_snapshot, read_counter, counter_index, read_snapshot : out; counters_busy, counter_value : in
        For `GatewayCounters`.

    Notes
    -----
    Reset: as `SerialBridge`; the core, the local stack and the counters are to be reset with it.

    Raises
    ------
    ValueError
        As `SerialBridge`; there are neighbours and a mailbox.
    """

    def __init__(self, configuration: int, clock_hz: int, baud: int, *, neighbors: int = 0, mailbox: int = 0) -> None:
        if neighbors and mailbox:
            raise ValueError("who has a mailbox has no neighbors")
        self._neighbors = neighbors
        self._mailbox = mailbox
        self._file = RegisterFile(gateway_registers(configuration, neighbors, mailbox=mailbox))
        self._bridge = SerialBridge(GATEWAY_BASE.bit_length(), clock_hz, baud)
        super().__init__(
            {
                "serial_rx": In(1, init=1),
                "serial_tx": Out(1, init=1),
                "core": Out(register_bus(GATEWAY_BASE.bit_length() - 1)),
                "links": In(link_layout()).array(2),
                **(_neighbor_ports(neighbors) if neighbors else {}),
                **({"mailbox": Out(mailbox_signature())} if mailbox else {}),
                "clear": Out(1),
                "take_snapshot": Out(1),
                "read_counter": Out(1),
                "counter_index": Out(range(len(GATEWAY_COUNTERS))),
                "read_snapshot": Out(1),
                "counters_busy": In(1),
                "counter_value": In(2 * WORD_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bridge, m.submodules.registers = bridge, file = self._bridge, self._file
        m.d.comb += [bridge.rx.eq(self.serial_rx), self.serial_tx.eq(bridge.tx)]
        for link, register in zip(self.links, (file.tenant_link, file.underlay_link), strict=True):
            m.d.comb += [
                register.status["up"].eq(link.up),
                register.status["speed"].eq(link.speed.as_value()),
                register.status["full_duplex"].eq(link.full_duplex),
            ]
        if self._neighbors:
            self._write_neighbors(m)
            self._read_neighbors(m)
        if self._mailbox:
            self._receive_frames(m)
            self._send_frames(m)
        self._counters(m)

        master, own, core = bridge.bus, file.bus, self.core
        ours = master.address[-1]
        for slave, chosen in ((core, ~ours), (own, ours)):
            m.d.comb += [
                slave.request.eq(master.request & chosen),
                slave.write.eq(master.write),
                slave.address.eq(master.address),
                slave.write_data.eq(master.write_data),
                slave.write_bytes.eq(master.write_bytes),
            ]
        for name in ("ack", "read_data", "error"):
            m.d.comb += getattr(master, name).eq(Mux(ours, getattr(own, name), getattr(core, name)))
        return m

    def _write_neighbors(self, m: Module) -> None:
        command, write = self._file.neighbor_write, self.write
        value = command.value
        m.d.sync += command.refuse.eq((value["index"] >= self._neighbors) | (value["place"] > Place.FAMILY))
        with m.If(write.ready):
            m.d.sync += write.valid.eq(0)
        with m.If(command.strobe):
            m.d.sync += write.valid.eq(1)
            m.d.sync += [write.payload[name].eq(value[name]) for name in ("index", "place", "data")]
        m.d.comb += self._file.neighbor_status.status["writing"].eq(write.valid)

    def _read_neighbors(self, m: Module) -> None:
        command = self._file.neighbor_read
        value = command.value
        place = value["place"]
        m.d.sync += command.refuse.eq((value["index"] >= self._neighbors) | place[:BYTE_BITS].any())
        index = Signal.like(self.read_index, reset_less=True)
        with m.If(command.strobe):
            m.d.sync += index.eq(value["index"])
        read = read_word(m, command.strobe, place[BYTE_BITS:], self.read_data)
        m.d.comb += [
            self.read.eq(read.asks),
            self.read_index.eq(index),
            self.read_place.eq(read.place),
            self._file.neighbor_status.status["reading"].eq(read.reading),
            self._file.neighbor_data.status["data"].eq(read.data),
        ]

    def _receive_frames(self, m: Module) -> None:
        file, mailbox = self._file, self.mailbox
        read, take = file.host_read, file.host_take
        m.d.sync += [
            read.refuse.eq(~mailbox.received),
            take.refuse.eq(~mailbox.received | ~take.value["take"]),
            mailbox.word.eq(read.value["word"]),
            # A clock behind the access, with the word.
            mailbox.read.eq(read.strobe),
        ]
        m.d.comb += [
            mailbox.take.eq(take.strobe),
            file.host_status.status["received"].eq(mailbox.received),
            file.host_status.status["reading"].eq(mailbox.reading | mailbox.read),
            file.host_length.status["length"].eq(Mux(mailbox.received, mailbox.length, 0)),
            file.host_data.status["data"].eq(mailbox.data),
        ]

    def _send_frames(self, m: Module) -> None:
        file, mailbox = self._file, self.mailbox
        write, send = file.host_write, file.host_send
        length = send.value["length"]
        words = (length + (WORD_BYTES - 1))[BYTE_BITS:]
        m.d.sync += [
            write.refuse.eq(mailbox.full),
            send.refuse.eq(length.any() & (words != mailbox.written)),
        ]
        m.d.comb += [
            mailbox.append.eq(write.strobe),
            mailbox.append_data.eq(write.value["data"]),
            mailbox.send.eq(send.strobe),
            mailbox.send_length.eq(length),
            file.host_status.status["sending"].eq(mailbox.sending),
        ]

    def _counters(self, m: Module) -> None:
        file = self._file
        control, command = file.counter_control, file.counter_command
        m.d.sync += [
            control.refuse.eq(control.value["clear"] == control.value["snapshot"]),
            command.refuse.eq(command.value["address"] >= len(GATEWAY_COUNTERS)),
        ]
        # A command begins a clock behind its access.
        m.d.sync += [
            self.clear.eq(control.strobe & control.value["clear"]),
            self.take_snapshot.eq(control.strobe & control.value["snapshot"]),
            self.read_counter.eq(command.strobe),
        ]
        with m.If(command.strobe):
            m.d.sync += [
                self.counter_index.eq(command.value["address"]),
                self.read_snapshot.eq(command.value["snapshot"]),
            ]
        m.d.comb += [
            file.counter_status.status["busy"].eq(
                self.counters_busy | self.clear | self.take_snapshot | self.read_counter
            ),
            file.counter_low.status["value"].eq(self.counter_value[:WORD_BITS]),
            file.counter_high.status["value"].eq(self.counter_value[WORD_BITS:]),
        ]
