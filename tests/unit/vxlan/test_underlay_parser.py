import pytest
from amaranth.hdl import Const, Module, Signal

from helpers.beats import Beats
from helpers.octets import ethernet, ipv4, ipv6, tag, udp, vxlan
from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.packet.pipe import Staged
from vtep.vxlan.underlay_parser import TUNNEL_BYTES, ip_field, is_tag, parse_underlay, window_bytes

NAMES = ("destination", "tag", "second_tag", "ipv4", "ipv6", "ip_start", "ip_rest", "ihl", "ip_checksum_ok", "words")
LATE = "ip_checksum_ok"
NAMES += ("udp", "vxlan", "inner_macs", "inner_start", "inner_checksum")


def number(octets):
    return int.from_bytes(octets, "big")


def make_case(rng):
    """A frame, its fields by position (counted here once more), and its last byte that is looked at."""
    tags = rng.choice((0, 0, 1, 1, 2, 3))
    inner = rng.randbytes(12)
    for _ in range(tags):
        inner += rng.choice((b"\x81\0", b"\x88\xa8")) + rng.randbytes(2)
    inner += rng.choice((b"\x08\0", b"\x86\xdd", b"\x08\x06")) + rng.randbytes(rng.choice((12, 12, 40, 100)))
    datagram = udp(vxlan(inner, rng.getrandbits(24)), checksum=rng.getrandbits(16))
    expected = {"second_tag": 0}
    if is6 := rng.random() < 0.4:
        words = 10
        frame = ethernet(ipv6(datagram, source=rng.getrandbits(128), traffic_class=rng.getrandbits(8)), 0x86DD)
    else:
        words = rng.randint(5, 15)
        packet = ipv4(datagram, source=rng.getrandbits(32), options=rng.randbytes(4 * (words - 5)))
        good = rng.random() < 0.7
        if not good:
            broken = rng.choice((1, 4, 8, 12, 4 * words - 1))
            packet = packet[:broken] + bytes([packet[broken] ^ 1 << rng.randrange(8)]) + packet[broken + 1 :]
        frame = ethernet(packet, 0x0800, destination=rng.getrandbits(48))
        expected |= {"ihl": words, "ip_checksum_ok": int(good)}
    start = 14
    if tagged := rng.random() < 0.5:
        frame = tag(frame, rng.getrandbits(12), rng.choice((0x8100, 0x88A8)))
        start = 18
    behind = start + 4 * words + 16
    expected |= {
        "destination": number(frame[:6]),
        "tag": int(tagged),
        "ipv4": int(not is6),
        "ipv6": int(is6),
        "ip_start": number(frame[start : start + 8]),
        "ip_rest": number(frame[start + 8 : start + 40]),
        "words": 1 << words + tagged - 5,
        "udp": number(frame[behind - 16 : behind - 8]),
        "vxlan": number(frame[behind - 8 : behind]),
        "inner_macs": number(frame[behind : behind + 12]),
    }
    for i in range(min(tags + 1, 3)):
        ethertype = number(frame[behind + 12 + 4 * i : behind + 14 + 4 * i])
        expected[f"inner_ipv4_{i}"] = int(ethertype == 0x0800)
        expected[f"inner_ipv6_{i}"] = int(ethertype == 0x86DD)
        if i < 2:
            expected[f"inner_tags_{i}"] = int(ethertype in (0x8100, 0x88A8))
    place = behind + 14 + 4 * min(tags, 2)
    expected["inner_start"] = number(frame[place : place + 2])
    expected["inner_checksum"] = number(frame[place + 10 : place + 12])
    return frame, expected, place + 11


def parser(data_width, *, deep=False, **options):
    beats = Beats(data_width // 8, window_bytes(), deep=deep)
    fields = parse_underlay(beats.m, beats.pipe, VtepParameters(data_width=data_width, **options), 3, 3)
    assert fields.head.stage == fields.tail.stage == fields.early
    watched = {name: getattr(fields, name) for name in NAMES}
    for name in ("inner_tags", "inner_ipv4", "inner_ipv6"):
        watched |= {f"{name}_{i}": staged for i, staged in enumerate(getattr(fields, name))}
    assert fields.ready >= fields.early
    for name, staged in watched.items():
        stage = fields.ready + 1 if name == LATE else fields.early
        beats.watch(name, Staged(beats.pipe.at(staged, stage), stage))
    beats.watch("head", fields.head)
    beats.watch("tail", fields.tail)
    return beats, fields


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("data_width", "idle"), [(8, 0.1), (16, 0.0), (32, 0.0), (64, 0.0), (64, 0.3), (128, 0.0), (512, 0.0), (512, 0.3)]
)
def test_fields_are_there_with_the_head(rng, data_width, idle, deep):
    beats, fields = parser(data_width, deep=deep)
    lanes = data_width // 8
    # Frames too short to hold anything come in between: they must not disturb the others.
    cases = [make_case(rng) for _ in range(24)] + [(rng.randbytes(rng.randint(1, 30)), {}, None) for _ in range(6)]
    rng.shuffle(cases)
    accepted, values = beats.run([frame for frame, *_ in cases], rng, idle)
    assert [clock for clock, value in enumerate(values["tail"]) if value] == [
        clocks[-1] + fields.early for clocks in accepted
    ]
    heads = [clock for clock, value in enumerate(values["head"]) if value]
    for (frame, expected, complete), clocks, head in zip(cases, accepted, heads, strict=True):
        if complete is not None:
            assert head == clocks[min(len(frame) - 1, complete) // lanes] + fields.early
        for name, value in expected.items():
            assert values[name][head + (name == LATE) * (fields.ready + 1 - fields.early)] == value, (
                f"{name} of {frame.hex()}"
            )


def test_second_tag(rng):
    beats, fields = parser(64)
    frames = [tag(tag(ethernet(bytes(60), 0x0800), 5), 6, 0x88A8), tag(ethernet(bytes(60), 0x0800), 5)]
    accepted, values = beats.run(frames, rng, 0.0)
    assert [values["second_tag"][clocks[-1] + fields.early] for clocks in accepted] == [1, 0]
    assert [values["tag"][clocks[-1] + fields.early] for clocks in accepted] == [1, 1]


def test_without_ipv6_no_frame_is(rng):
    beats, fields = parser(64, ipv6=False)
    accepted, values = beats.run([ethernet(ipv6(bytes(80)), 0x86DD)], rng, 0.0)
    clock = accepted[0][-1] + fields.early
    assert not values["ipv6"][clock]
    assert not values["ipv4"][clock]


def test_fields_of_the_ip_header(rng):
    beats, fields = parser(64)
    places = [(0, 1), (2, 2), (6, 2), (8, 1), (9, 1), (12, 4), (16, 4), (24, 16)]
    for place in places:
        beats.watch(str(place), Staged(ip_field(fields, beats.pipe, fields.early, *place), fields.early))
    frame = ethernet(ipv6(udp(vxlan(rng.randbytes(60), 1)), source=rng.getrandbits(128)), 0x86DD)
    accepted, values = beats.run([frame], rng, 0.0)
    for offset, length in places:
        seen = values[str((offset, length))][accepted[0][-1] + fields.early]
        assert seen == number(frame[14 + offset : 14 + offset + length])


def test_tags_and_sizes():
    assert TUNNEL_BYTES == 16
    # Ethernet, tag, 15 words of IPv4, UDP and VXLAN, Ethernet, two tags, 12 bytes of IPv4
    assert window_bytes() == 14 + 4 + 60 + 16 + 14 + 8 + 12
    m = Module()
    results = Signal(4)
    for i, ethertype in enumerate((0x8100, 0x88A8, 0x0800, 0x9100)):
        m.d.comb += results[i].eq(is_tag(Const(ethertype, 16)))

    async def bench(ctx):
        assert ctx.get(results) == 0b0011

    simulate(m, bench)
