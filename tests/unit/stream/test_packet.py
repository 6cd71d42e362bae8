import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring

from helpers.packet_bench import random_packets, receive_packets, send_packets, simulate
from vtep.config import DATA_WIDTHS
from vtep.stream.packet import connect_packets, packet_layout, packet_signature


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
@pytest.mark.parametrize("length", [False, True])
def test_layout(data_width, length):
    layout = packet_layout(data_width, length=length)
    widths = {name: field.width for name, field in layout}
    expected = {"data": data_width, "empty": {8: 0, 16: 1, 32: 2, 64: 3, 128: 4, 256: 5, 512: 6}[data_width]}
    expected |= {"last": 1, "error": 1}
    assert widths == (expected | {"length": 14} if length else expected)
    assert packet_signature(data_width, length=length) == stream.Signature(layout)


def test_refuses_widths():
    for width in (0, 7, 24, 1024):
        with pytest.raises(ValueError, match=r"data_width must be one of \(8, 16, 32, 64, 128, 256, 512\)"):
            packet_layout(width)


class Wire(wiring.Component):
    """Connects its input with its output."""

    def __init__(self, data_width):
        super().__init__({"i": wiring.In(packet_signature(data_width)), "o": wiring.Out(packet_signature(data_width))})

    def elaborate(self, platform):
        m = Module()
        connect_packets(m, wiring.flipped(self.i), wiring.flipped(self.o))
        return m


@pytest.mark.parametrize("data_width", [8, 64])
def test_connects_equal_streams(rng, data_width):
    dut = Wire(data_width)
    sent = random_packets(rng, 10, lanes=data_width // 8, longest=40)

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=0.3)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=0.3) == sent

    simulate(dut, source, sink)


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        (packet_layout(64), packet_layout(32)),
        (packet_layout(64), packet_layout(64, length=True)),
        # Equal in width: Amaranth would connect these.
        (packet_layout(8), stream.Signature(10).members["payload"].shape),
    ],
)
def test_refuses_other_layouts(source, sink):
    m = Module()
    m._MustUse__silence = True  # it is never used
    with pytest.raises(TypeError, match=r"payload layouts differ: .* and "):
        connect_packets(m, stream.Signature(source).create(), stream.Signature(sink).flip().create())
