"""The bench around a gateway: cocotbext-eth's PHYs on both lines, a neighbourhood that answers, and the serial line."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotbext.eth import GmiiFrame, RgmiiPhy, XgmiiFrame
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    in6_getnsma,
    in6_getnsmac,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from helpers.mac_counters import counted
from vtep.control.counters import counter_map
from vtep.control.gateway_registers import GATEWAY_BASE, GATEWAY_COUNTERS, PORTS, gateway_registers
from vtep.control.registers import vtep_registers
from vtep_boards.gateway import Host
from vtep_host.tables import counter_names
from vtep_sim.cocotb.frames import mac
from vtep_sim.cocotb.scoreboard import Outputs, compare_counters, compare_frames
from vtep_sim.golden import Frame, GoldenModel

from .configs import OWN_IPV4, OWN_IPV6, OWN_MAC
from .gateway_designs import CONFIG, DIVISOR, NEIGHBORS, PARAMETERS
from .lines import NS, SPEEDS, even, gmii_frame
from .mac_carriers import FCS_LENGTH, HEAD, MIN_LENGTH, Carrier, Outcome, fcs, outcome

__all__ = ["LINE_OVERHEAD", "MACS", "MIN_GAP", "TENANT", "UNDERLAY", "GatewayBench", "Sent", "ask", "padded"]

TENANT, UNDERLAY = PORTS
HOST = "host"
CORE, LINE = 16 * NS, 8 * NS
MIN_GAP = 12
LINE_OVERHEAD = len(HEAD) + FCS_LENGTH + MIN_GAP
"""Bytes of a line that a frame takes beside its own, at least."""

MACS = (mac("02:00:00:00:00:03"), mac("02:00:00:00:00:06"), mac("02:00:00:00:00:04"))
"""Of the neighbours."""

BEATS = 1 << (2 * PARAMETERS.max_frame_length // PARAMETERS.lanes - 1).bit_length()
ROOM = (BEATS - 2) * PARAMETERS.lanes
"""Bytes of the longest frame that a MAC's buffer holds."""


def padded(frame: bytes) -> bytes:
    """As long as a frame on a line has to be."""
    return frame.ljust(MIN_LENGTH, b"\0")


def ask(address: str, vlan: int = 0) -> bytes:
    """What the gateway asks for a neighbour with, while its MAC address is not known."""
    tag = Dot1Q(vlan=vlan) if vlan else None
    if ":" not in address:
        head = Ether(src=OWN_MAC, dst="ff:ff:ff:ff:ff:ff")
        body = ARP(op=1, hwsrc=OWN_MAC, psrc=OWN_IPV4, hwdst="00:00:00:00:00:00", pdst=address)
    else:
        group = in6_getnsma(IPv6Address(address).packed)
        head = Ether(src=OWN_MAC, dst=in6_getnsmac(group))
        body = IPv6(src=OWN_IPV6, dst=str(IPv6Address(group)), hlim=255)
        body /= ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=OWN_MAC)
    return bytes(head / tag / body if tag else head / body)


class Phy(RgmiiPhy):
    """`RgmiiPhy` with a clock of its own frequency, made by the simulator and not by Python."""

    def __init__(self, *wires, slower: float) -> None:
        self._slower = slower
        self._clock: Clock | None = None
        super().__init__(*wires)

    def set_speed(self, speed: float) -> None:
        self.speed = speed
        self.tx.mii_mode = self.rx.mii_mode = speed < 1000e6
        if self._clock is not None:
            self._clock.stop()
        period = LINE if speed == 1000e6 else 4e9 * NS / speed
        self._clock = Clock(self.rx_clk, even(period * self._slower), unit="fs")
        self._clock.start()


class Sent:
    """A frame that left on a line: without FCS, and when."""

    def __init__(self, frame: GmiiFrame | XgmiiFrame) -> None:
        content = bytes(frame.data)
        assert content.startswith(HEAD), f"preamble: {content.hex()}"
        assert not (frame.ctrl if isinstance(frame, XgmiiFrame) else frame.error), "an error within a frame"
        self.data, received = content[len(HEAD) : -FCS_LENGTH], content[-FCS_LENGTH:]
        assert received == fcs(self.data), f"FCS of {content.hex()}"
        assert len(self.data) >= MIN_LENGTH
        self.start, self.end = frame.sim_time_start, frame.sim_time_end


class GatewayBench:
    """Lines, clocks, the serial line, and what the gateway has to count.

    Parameters
    ----------
    dut : cocotb handle
        ``gateway_pads``.
    apart : float
        By how many parts in a million the tenant's clock is faster than the gateway's, and the underlay's slower.
    host : Host
        Of the gateway.

    Attributes
    ----------
    punted : list of bytes
        What the last `exchange` brought to the host port.
    """

    def __init__(self, dut, *, apart: float = 0.0, host: Host = Host.LOCAL) -> None:
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.dut = dut
        self.phys: dict[str, Phy] = {}
        self.host = host
        self.ports = (*PORTS, HOST) if host is Host.PORT else PORTS
        for number, port in enumerate(self.ports):
            wires = [getattr(dut, f"{name}{number}") for name in ("txd", "tx_ctl", "txc", "rxd", "rx_ctl", "rxc")]
            self.phys[port] = Phy(*wires, slower=1 - apart / 1e6 if port == TENANT else 1 + apart / 1e6)
        self.speed = 1000
        self.speeds = dict.fromkeys(self.ports, 1000)
        self.model = GoldenModel(CONFIG, max_frame_length=PARAMETERS.max_frame_length)
        self.punted: list[bytes] = []
        self.known: dict[int, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.registers = {
            **{(0, one.name): one.address for one in vtep_registers(PARAMETERS)},
            **{(1, one.name): GATEWAY_BASE + one.address for one in gateway_registers(0, len(MACS), mailbox=1)},
        }

    async def start(self, *, speed: int = 1000, resolve: bool = True) -> None:
        """Start the clocks, reset everything, and tell the neighbours' MAC addresses unless they are not wanted."""
        dut = self.dut
        dut.serial_rx.value = 1
        self.set_speed(1000)
        Clock(dut.sync_clk, CORE, unit="fs").start()
        Clock(dut.tx_clk, LINE, unit="fs").start()
        cocotb.start_soon(self._late_clock())
        # A reset keeps what waits in the MACs: what an earlier test may have left there has to go first.
        for wait in (20_000, 0):
            dut.reset.value = 1
            await Timer(1000, "ns")
            for phy in self.phys.values():
                phy.tx.clear()
            dut.reset.value = 0
            await Timer(1000 + wait, "ns")
        # Until the tables are loaded, frames wait; counters are cleared.
        await Timer(3000 * CORE, "fs")
        if resolve and self.host is Host.LOCAL:
            await self.resolve(0, 1)
        # Not before, as at 10 Mb/s the neighbours would be asked again before they have answered.
        if speed != self.speed:
            self.set_speed(speed)
            await Timer(round(20 * self.byte), "fs")

    async def _late_clock(self) -> None:
        """The clock that RGMII's TXC is made with: 2 ns behind the one of the data."""
        await RisingEdge(self.dut.tx_clk)
        await Timer(2 * NS, "fs")
        Clock(self.dut.tx_clk_late, LINE, unit="fs").start()

    def set_speed(self, speed: int) -> None:
        """Tell PHYs and gateway of their links' speed in Mb/s."""
        self.speed = speed
        for port in self.ports:
            self.set_speed_of(port, speed)

    def set_speed_of(self, port: str, speed: int) -> None:
        """Let one port have another speed, and the others be as they are: time is counted in their bytes."""
        self.speeds[port] = speed
        self.phys[port].set_speed(speed * 1e6)
        getattr(self.dut, f"told{self.ports.index(port)}").value = 0b1001 | SPEEDS[speed].value << 1

    @property
    def byte(self) -> float:
        """Femtoseconds of a byte on the gateway's lines."""
        return 8_000 * NS / self.speed

    async def resolve(self, *numbers: int) -> None:
        """Let neighbours answer what they were asked for at first."""
        asks, replies = [], []
        for number in numbers:
            neighbor = NEIGHBORS[number]
            address = str(IPv4Address(neighbor.address) if neighbor.family == 4 else IPv6Address(neighbor.address))
            asks.append(ask(address, neighbor.vlan))
            replies.append(self.reply(number, address, neighbor.vlan))
        await self.exchange(answers=asks)
        await self.exchange(underlay=replies)
        self.counts.update({"local.solicitation": len(asks), "local.resolved": len(asks)})
        self.known |= {number: MACS[number] for number in numbers}

    @staticmethod
    def reply(number: int, address: str, vlan: int = 0) -> bytes:
        """A neighbour's answer."""
        tag, own = MACS[number].hex(":"), Dot1Q(vlan=vlan)
        head = Ether(src=tag, dst=OWN_MAC) / own if vlan else Ether(src=tag, dst=OWN_MAC)
        if ":" not in address:
            return padded(bytes(head / ARP(op=2, hwsrc=tag, psrc=address, hwdst=OWN_MAC, pdst=OWN_IPV4)))
        body = IPv6(src=address, dst=OWN_IPV6, hlim=255) / ICMPv6ND_NA(tgt=address, R=0, S=1, O=1)
        return padded(bytes(head / body / ICMPv6NDOptDstLLAddr(lladdr=tag)))

    # Frames.

    def _outcomes(self, port: str, frames: Sequence[bytes | Carrier]) -> tuple[list[Carrier], list[Outcome]]:
        """Carriers that bring ``frames``, and what the port's MAC makes of them, which is counted."""
        carriers = [one if isinstance(one, Carrier) else Carrier(HEAD + one + fcs(one)) for one in frames]
        outcomes = []
        for carrier in carriers:
            result = outcome(carrier, PARAMETERS.max_frame_length, ROOM)
            if result is None:
                self.counts[f"{port}.aFalseCarriers"] += 1
                continue
            outcomes.append(result)
            if port == HOST:
                continue
            for name, count in counted(result.report, PARAMETERS.max_frame_length + FCS_LENGTH).items():
                self.counts[f"{port}.{name}"] += count
        return carriers, outcomes

    async def exchange(
        self,
        tenant: Sequence[bytes | Carrier] = (),
        underlay: Sequence[bytes | Carrier] = (),
        answers: Sequence[bytes] = (),
        host: Sequence[bytes | Carrier] = (),
        *,
        gaps: tuple[int, int] = (MIN_GAP, MIN_GAP),
        hurry: int = 0,
        quiet: float = 50,
        lossy: str = "",
    ) -> dict[str, list[Sent]]:
        """Bring frames to both ports at once, and compare all that leaves with the golden model.

        Parameters
        ----------
        tenant, underlay, host : sequence of bytes or Carrier
            Bytes get preamble and FCS. Those of the host come at its own port.
        answers : sequence of bytes
            What the local stack has to send by itself, without padding.
        gaps : tuple of int
            Bytes between frames of the tenant's line, and between those of the others.
        hurry : int
            So many of the tenant's frames come with the least gap.
        quiet : float
            Microseconds after which nothing more is to come: as long as anything takes inside.
        lossy : str
            What this port sends is not compared.
        """
        brought = dict(zip((*PORTS, HOST), (tenant, underlay, host), strict=True))
        frames: dict[str, list[Frame]] = {}
        for port, gap in zip(self.ports, (*gaps, gaps[1]), strict=False):
            content = brought[port]
            carriers, outcomes = self._outcomes(port, content)
            frames[port] = [Frame(one.body, one.marked) for one in outcomes if one.wire is not None]
            source = self.phys[port].rx
            self._set_gap(port, gap)
            for carrier in carriers:
                source.send_nowait(gmii_frame(carrier))
        if hurry:
            self._set_gap(TENANT, MIN_GAP)
            cocotb.start_soon(self._hurried(len(tenant) - hurry, gaps[0]))
        from_host = frames.get(HOST, [Frame(answer) for answer in answers])
        prediction = self.model.run(frames[TENANT], frames[UNDERLAY], from_host)
        self.punted = [frame.data for frame in prediction.host]
        if self.host is not Host.PORT:
            prediction.host.clear()
        if self.host is Host.LOCAL:
            self._route(prediction)

        sent = await self._collect(quiet)
        if lossy:
            getattr(prediction, lossy)[:] = [Frame(one.data) for one in sent[lossy]]
        outputs = Outputs(*([Frame(one.data) for one in sent.get(port, [])] for port in (*PORTS, HOST)))
        for name in ("tenant", "underlay_encap", "underlay_host", "host"):
            setattr(prediction, name, [Frame(padded(one.data)) for one in getattr(prediction, name)])
        differences = compare_frames(outputs, prediction, encap_cut_through=False, decap_cut_through=False)
        assert not differences, "\n".join(differences)
        for port in PORTS:
            self.counts[f"{port}.aFramesTransmittedOK"] += len(sent[port])
        return sent

    def _set_gap(self, port: str, gap: int) -> None:
        self.phys[port].rx.ifg = gap * (2 if self.speeds[port] < 1000 else 1)  # nibbles there

    async def _hurried(self, rest: int, gap: int) -> None:
        """Wait until only so many of the tenant's frames are left, and set the gap."""
        while self.phys[TENANT].rx.count() > rest:
            await Timer(round(4 * self.byte), "fs")
        self._set_gap(TENANT, gap)

    def _route(self, prediction) -> None:
        """Give encapsulated frames their neighbour's MAC address, and drop those for neighbours that are not known."""
        passed = []
        for frame in prediction.underlay_encap:
            if frame.data[:5] == bytes(5):
                number = frame.data[5]
                if number not in self.known:
                    self.counts["local.unresolved"] += 1
                    continue
                frame = Frame(self.known[number] + frame.data[6:])
            passed.append(frame)
        prediction.underlay_encap[:] = passed

    async def _collect(self, quiet: float) -> dict[str, list[Sent]]:
        """All frames that leave until all lines have been idle for so many microseconds."""
        sent: dict[str, list[Sent]] = {port: [] for port in self.ports}
        idle = 0
        while idle < quiet * 1000 * NS + 200 * self.byte:
            await Timer(round(100 * self.byte), "fs")
            idle += round(100 * self.byte)
            for port, phy in self.phys.items():
                if not phy.rx.idle():
                    idle = 0
                while not phy.tx.empty():
                    sent[port].append(Sent(phy.tx.recv_nowait()))
                    idle = 0
        for frames in sent.values():
            for before, after in pairwise(frames):
                assert self.gap(before, after) >= MIN_GAP
        return sent

    def gap(self, before: Sent, after: Sent) -> int:
        """Bytes between two frames that left."""
        return round((after.start - before.end) / self.byte)

    # Registers.

    async def _talk(self, request: bytes, words: int) -> list[int]:
        dut, bit = self.dut, DIVISOR * CORE
        receiver = cocotb.start_soon(self._listen(4 * words))
        for octet in request:
            for level in [0, *(octet >> place & 1 for place in range(8)), 1]:
                dut.serial_rx.value = level
                await Timer(bit, "fs")
        answer = await receiver
        return [int.from_bytes(answer[place : place + 4]) for place in range(0, 4 * words, 4)]

    async def _listen(self, count: int) -> bytes:
        dut, bit = self.dut, DIVISOR * CORE
        octets = bytearray()
        while len(octets) < count:
            await FallingEdge(dut.serial_tx)
            await Timer(bit // 2, "fs")
            octet = 0
            for place in range(8):
                await Timer(bit, "fs")
                octet |= int(dut.serial_tx.value) << place
            octets.append(octet)
            await Timer(bit, "fs")
            assert dut.serial_tx.value == 1, "no stop bit"
        return bytes(octets)

    async def read(self, block: int, name: str, words: int = 1) -> list[int]:
        """Registers from ``name`` on, of the core (0) or of the gateway (1)."""
        address = self.registers[block, name] // 4
        return await self._talk(bytes([2, words]) + address.to_bytes(4), words)

    async def write(self, block: int, name: str, value: int) -> None:
        address = self.registers[block, name] // 4
        await self._talk(bytes([1, 1]) + address.to_bytes(4) + value.to_bytes(4), 0)

    async def counters(self, block: int, addresses: Iterable[int], *, snapshot: bool = False) -> list[int]:
        """Counters of the core (0) or of the gateway (1); the requests do not wait for each other's answer."""
        command, low = (self.registers[block, name] // 4 for name in ("COUNTER_COMMAND", "COUNTER_LOW"))
        requests = [
            bytes([1, 1])
            + command.to_bytes(4)
            + (address | snapshot << 31).to_bytes(4)
            + bytes([2, 2])
            + low.to_bytes(4)
            for address in addresses
        ]
        words = iter(await self._talk(b"".join(requests), 2 * len(requests)))
        return [low | high << 32 for low, high in zip(words, words, strict=True)]

    async def gateway_counters(self, part: str = "") -> dict[str, int]:
        """Those of the gateway that are not 0 and have ``part`` in their names: reading takes its time."""
        places = {name: place for place, name in enumerate(GATEWAY_COUNTERS) if part in name}
        values = await self.counters(1, places.values())
        return {name: value for name, value in zip(places, values, strict=True) if value}

    # The mailbox.

    async def receive(self) -> bytes | None:
        """Take a frame of the host port; None where there is none."""
        (length,) = await self.read(1, "HOST_LENGTH")
        if not length:
            return None
        content = b""
        for word in range(-(-length // 4)):
            await self.write(1, "HOST_READ", word)
            (data,) = await self.read(1, "HOST_DATA")
            content += data.to_bytes(4, "little")
        await self.write(1, "HOST_TAKE", 1)
        return content[:length]

    async def send(self, frame: bytes) -> None:
        """Send a frame for the host port."""
        for start in range(0, len(frame), 4):
            await self.write(1, "HOST_WRITE", int.from_bytes(frame[start : start + 4], "little"))
        await self.write(1, "HOST_SEND", len(frame))

    async def check_counters(self, *, core: bool = True, punts: bool = False) -> None:
        """Compare all counters with what they have to be; of those of `LOCAL_EVENTS`, what ``counts`` has.

        ``punts``: frames went to the local stack beside those in ``counts``, all of them to be dropped.
        """
        wanted = {name: count for name, count in self.counts.items() if count}
        got = await self.gateway_counters()
        if punts:
            dropped = {f"local.{kind}": got.get(f"local.{kind}", 0) for kind in ("ignored", "malformed", "checksum")}
            wanted |= dropped
            assert sum(dropped.values()) + wanted["local.resolved"] == self.model.counters["host_tx_frames"]
        names = {name for name in (*got, *wanted) if got.get(name, 0) != wanted.get(name, 0)}
        assert not names, {name: (got.get(name, 0), wanted.get(name, 0)) for name in sorted(names)}
        if core:
            addresses = counter_names(CONFIG, PARAMETERS)
            assert set(addresses.values()) <= set(counter_map(PARAMETERS).values())
            values = dict(zip(addresses, await self.counters(0, addresses.values()), strict=True))
            differences = compare_counters(values, self.model.counters, {})
            assert not differences, "\n".join(differences)
