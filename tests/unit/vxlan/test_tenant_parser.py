import pytest

from helpers.beats import Beats
from helpers.octets import ethernet, ipv4, ipv6, tag
from vtep.packet.pipe import Staged
from vtep.vxlan.tenant_parser import parse_tenant, window_bytes

NAMES = ("macs", "tci", "ipv6", "ip_start", "ip_rest", "words", "ports")


def number(octets):
    return int.from_bytes(octets, "big")


def make_case(rng):
    """A frame, its fields by position (counted here once more), and its last byte that is looked at."""
    tags = rng.randint(0, 3)
    payload = rng.randbytes(rng.choice((40, 40, 100)))
    if is6 := rng.random() < 0.5:
        words = 10
        frame = ethernet(ipv6(payload, source=rng.getrandbits(128)), 0x86DD, source=rng.getrandbits(48))
    else:
        words = rng.randint(5, 15)
        options = rng.randbytes(4 * (words - 5))
        frame = ethernet(ipv4(payload, options=options), 0x0800, destination=rng.getrandbits(48))
    for _ in range(tags):
        frame = tag(frame, rng.getrandbits(16), rng.choice((0x8100, 0x88A8)))
    start = 14 + 4 * tags
    ports = start + 4 * words
    expected = {
        "macs": number(frame[:12]),
        "ipv6": int(is6),
        "ip_start": number(frame[start : start + 8]),
        "ip_rest": number(frame[start + 8 : start + (40 if is6 else 20)]),
        "words": words + tags,
        "ports": number(frame[ports : ports + 4]),
    }
    if tags:
        expected["tci"] = number(frame[14:16])
    for i in range(tags + 1):
        expected[f"type_{i}"] = number(frame[12 + 4 * i : 14 + 4 * i])
    return frame, expected, ports + 3


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("data_width", "idle"), [(8, 0.1), (32, 0.0), (64, 0.0), (64, 0.3), (512, 0.0), (512, 0.3)])
def test_fields_are_there_with_the_head(rng, data_width, idle, deep):
    lanes = data_width // 8
    beats = Beats(lanes, window_bytes(), deep=deep)
    fields = parse_tenant(beats.m, beats.pipe)
    assert fields.head.stage == fields.tail.stage == fields.ready
    watched = {name: getattr(fields, name) for name in NAMES}
    watched |= {f"type_{i}": staged for i, staged in enumerate(fields.types)}
    for name, staged in watched.items():
        beats.watch(name, Staged(beats.pipe.at(staged, fields.ready), fields.ready))
    beats.watch("head", fields.head)
    beats.watch("tail", fields.tail)
    cases = [make_case(rng) for _ in range(24)] + [(rng.randbytes(rng.randint(1, 30)), {}, None) for _ in range(6)]
    rng.shuffle(cases)
    accepted, values = beats.run([frame for frame, *_ in cases], rng, idle)
    assert [clock for clock, value in enumerate(values["tail"]) if value] == [
        clocks[-1] + fields.ready for clocks in accepted
    ]
    heads = [clock for clock, value in enumerate(values["head"]) if value]
    for (frame, expected, complete), clocks, head in zip(cases, accepted, heads, strict=True):
        if complete is not None:
            assert head == clocks[complete // lanes] + fields.ready
        for name, value in expected.items():
            seen = values[name][head]
            if name == "ip_rest" and not expected["ipv6"]:
                seen >>= 8 * 20  # the ports may come before the rest
            assert seen == value, f"{name} of {frame.hex()}"


def test_window():
    assert window_bytes() == 14 + 12 + 60 + 4  # Ethernet, three tags, 15 words of IPv4, ports
