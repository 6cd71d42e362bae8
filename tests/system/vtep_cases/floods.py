"""Floods of malformed frames: headers cut at every byte, lengths wrong both ways, garbage, mutations.

The golden model says what becomes of each; none may hang the core or disturb its neighbours.
"""

from collections.abc import Iterable

from vtep_sim.cocotb.bench import Bench
from vtep_sim.cocotb.frames import CTAG, IPV4, IPV6, STAG, TCP, UDP, Underlay, ethernet, ipv4, ipv6, l4
from vtep_sim.golden import Frame

from .cases import case, parameters, scale
from .configs import BROADCAST, HOST_A, HOST_B, make, random_config, tunnel, vni
from .generator import Traffic, mutate

INNER4 = ethernet(HOST_B, HOST_A, IPV4, ipv4("192.168.7.1", "192.168.7.2", UDP, l4(UDP, 7, 9, b"abcdefg"), tos=0xB9))
INNER6 = ethernet(HOST_B, HOST_A, IPV6, ipv6("fd01::1", "fd01::2", TCP, l4(TCP, 7, 9, b"ab"), traffic_class=0xB9))


def config(p, *, strict: bool = False):
    """Every way that a header can be read is open: both families, inherited fields, pass and discard."""
    policy = {"ttl": "inherit", "dscp": "inherit", "df": "inherit"}
    tunnels = [tunnel(p, "leaf2", "10.0.0.2", **policy), tunnel(p, "group", "239.1.1.1", vlan=7, **policy)]
    if p.ipv6:
        tunnels.append(tunnel(p, "leaf6", "fd00::2", **policy))
    names = [t["name"] for t in tunnels]
    return make(
        p,
        vtep={"underlay_mtu": 9000, "reserved_bits": "strict" if strict else "ignore"},
        tunnels=tunnels,
        vnis=[vni(100, 10, names), vni(200, 0, ["leaf2"]), vni(300, 30, ["leaf2"], inner_vlan="discard")],
    )


def wholes(p) -> list[Underlay]:
    """Well-formed frames, one for each path through the headers."""
    plain = Underlay(inner=INNER4).ecn(3)
    frames = [
        plain,
        plain.but(tags=((CTAG, 5),), inner=INNER6),
        plain.but(ip={"options": bytes(range(1, 25)), "tos": 1}, udp_checksum="right" if p.udp_checksum else 0),
        plain.but(inner=INNER4[:12] + b"\x81\x00\x00\x05\x88\xa8\x00\x06" + INNER4[12:]),
    ]
    if p.ipv6:
        outer6 = Underlay(inner=INNER6, src_ip="fd00::2", dst_ip="fd00::1", udp_checksum="right").ecn(3)
        frames += [outer6, outer6.but(tags=((STAG, 5),), inner=INNER4)]
    return frames


async def flood(bench: Bench, *, tenant: Iterable = (), underlay: Iterable = (), chunk: int = 400) -> None:
    """Send all, some hundred frames at a time, a good frame behind every few bad ones."""
    tenant, underlay = list(tenant), list(underlay)
    good = Underlay(inner=INNER4)
    for start in range(0, max(len(tenant), len(underlay)), chunk):
        part = tenant[start : start + chunk]
        mixed: list = []
        for i, frame in enumerate(underlay[start : start + chunk]):
            mixed.append(frame)
            if i % 7 == 6:
                mixed.append(good)
        await bench.exchange(part, mixed, count=start + chunk >= max(len(tenant), len(underlay)))


async def bench_of(dut, rng, **options) -> Bench:
    p = parameters()
    stall = rng.choice([0.0, 0.0, 0.2])
    bench = Bench(dut, p, rng.getrandbits(32), stall=stall, idle=rng.choice([0.0, 0.0, 0.2]), burst=2)
    await bench.start(config(p, **options))
    return bench


def refitted(frame: Underlay, n: int) -> Underlay | None:
    """The frame cut to ``n`` bytes, IP and UDP lengths made to fit: what follows is then cut, not the lengths wrong."""
    whole = bytes(frame)
    datagram = frame.datagram()
    start = len(whole) - len(datagram)
    if n < start:
        return None
    body = datagram[: n - start]
    if len(body) >= 8:
        return frame.but(inner=frame.inner[: max(0, n - start - 16)], body=None if len(body) >= 16 else body)
    return frame.but(body=body)


@case
async def truncation_at_every_byte_of_underlay_frames(dut, rng):
    bench = await bench_of(dut, rng)
    p = bench.parameters
    frames = wholes(p) if scale(0, 1) else rng.sample(wholes(p), 2)
    await flood(bench, underlay=[bytes(frame)[:n] for frame in frames for n in range(1, len(bytes(frame)))])
    await bench.finish()


@case(deep=True)
async def truncation_at_every_byte_with_lengths_that_fit(dut, rng):
    bench = await bench_of(dut, rng)
    frames = wholes(bench.parameters) if scale(0, 1) else wholes(bench.parameters)[:1]
    cut = [refitted(frame, n) for frame in frames for n in range(34, len(bytes(frame)))]
    await flood(bench, underlay=[frame for frame in cut if frame is not None])
    await bench.finish()


@case(deep=True)
async def truncation_at_every_byte_of_tenant_frames(dut, rng):
    bench = await bench_of(dut, rng)
    bases = [INNER4, INNER6]
    if scale(0, 1):
        options = ethernet(
            HOST_B, HOST_A, IPV4, ipv4("1.2.3.4", "5.6.7.8", TCP, l4(TCP, 7, 9), options=b"\x01" * 12, tos=0x55)
        )
        bases.append(options)
    tags = [b"", b"\x81\x00\x00\x0a", b"\x88\xa8\x00\x05\x81\x00\x00\x06"]
    if not scale(0, 1):
        tags = tags[:2]
    wide = [base[:12] + tag + base[12:] for base in bases for tag in tags]
    await flood(bench, tenant=[frame[:n] for frame in wide for n in range(1, len(frame) + 1)])
    await bench.finish()


@case(deep=True)
async def ip_lengths_wrong_both_ways(dut, rng):
    bench = await bench_of(dut, rng)
    p = bench.parameters
    frames = []
    for frame in wholes(p):
        v4 = ":" not in frame.dst_ip
        right = len(frame.datagram()) + (20 + len(frame.ip.get("options", b"")) if v4 else 0)
        name = "total_length" if v4 else "payload_length"
        values = {0, 1, 7, 8, 15, 16, 19, 20, 21, 27, 28, 35, 36, 37, 49, 50, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF}
        values |= set(range(right - scale(6, 40), right + scale(6, 40)))
        values |= {1 << i for i in range(16)} | {right ^ 1 << i for i in range(16)}
        for value in sorted(values):
            if 0 <= value < 65536:
                frames.append(frame.but(ip=frame.ip | {name: value}))
                frames.append(frame.but(ip=frame.ip | {name: value}, trailer=bytes(40)))
    if not scale(0, 1):
        frames = rng.sample(frames, 60)
    await flood(bench, underlay=frames)
    await bench.finish()


@case(deep=True)
async def udp_lengths_wrong_both_ways(dut, rng):
    bench = await bench_of(dut, rng)
    p = bench.parameters
    frames = []
    for frame in wholes(p):
        right = len(frame.datagram())
        values = set(range(40)) | {0x7FFF, 0x8000, 0xFFFE, 0xFFFF}
        values |= set(range(right - scale(6, 40), right + scale(6, 40))) | {right ^ 1 << i for i in range(16)}
        for value in sorted(values):
            frames.append(frame.but(udp_length=value))
            frames.append(frame.but(udp_length=value, ip_trailer=bytes(30), trailer=bytes(9)))
    if not scale(0, 1):
        frames = rng.sample(frames, 60)
    await flood(bench, underlay=frames)
    await bench.finish()


@case(deep=True)
async def ihl_and_version_every_value(dut, rng):
    bench = await bench_of(dut, rng)
    frames, tenant = [], []
    for first in range(256):
        version, ihl = first >> 4, first & 15
        frames.append(Underlay(inner=INNER4, ip={"version": version, "ihl": ihl, "options": bytes(rng.choice([0, 8]))}))
        packet = ipv4("192.168.7.1", "192.168.7.2", TCP, l4(TCP, 7, 9), version=version, ihl=ihl, tos=0xBB, ttl=9)
        tenant.append(ethernet(HOST_B, HOST_A, IPV4, packet))
        frames.append(Underlay(inner=tenant[-1]).ecn(rng.randrange(4)))
    if not scale(0, 1):
        frames, tenant = rng.sample(frames, 80), rng.sample(tenant, 80)
    await flood(bench, tenant=tenant, underlay=frames)
    await bench.finish()


@case(deep=True)
async def single_bits_flipped_in_every_header(dut, rng):
    """Each bit of the headers of each kind of frame, with the IPv4 checksum left wrong and made right."""
    from .generator import fix_ipv4_checksum

    bench = await bench_of(dut, rng, strict=rng.random() < 0.5)
    frames = []
    for whole in map(bytes, wholes(bench.parameters)):
        for bit in range(8 * min(len(whole) - 1, 90)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            frames += [bytes(flipped), fix_ipv4_checksum(bytes(flipped))]
    await flood(bench, underlay=rng.sample(frames, scale(100, 700)))
    await bench.finish()


@case
async def mutations_of_valid_frames(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=0.1, stall=0.1, burst=2)
    await bench.start()
    for i in range(scale(1, 3)):
        if i:
            await bench.reset()
        chosen = random_config(p, rng)
        await bench.configure(chosen)
        traffic = Traffic(p, chosen, rng, largest=150, broken=0.5)
        count = scale(80, 300)
        tenant = [Frame(mutate(traffic.tenant().data, rng)) for _ in range(count)]
        underlay = [Frame(mutate(bytes(traffic.outer()), rng)) for _ in range(count)]
        await bench.exchange(tenant, underlay)
    await bench.finish()


@case(deep=True)
async def garbage(dut, rng):
    """Bytes without any sense, some behind a destination address that lets them in."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=0.1)
    chosen = random_config(p, rng)
    await bench.start(chosen)
    own = chosen.vtep.mac

    def one() -> Frame:
        data = rng.randbytes(rng.choice([rng.randint(1, 20), rng.randint(14, 100), rng.randint(60, 300)]))
        start = rng.choice(
            [b"", own, own + rng.randbytes(6) + rng.choice([b"\x08\x00\x45", b"\x86\xdd\x60", b"\x81\x00"])]
        )
        return Frame(start + data[len(start) :] or b"\0", rng.random() < 0.1)

    count = scale(60, 250)
    await bench.exchange(*([one() for _ in range(count)] for _ in range(3)))
    await bench.finish()


@case
async def dropped_frames_of_every_length(dut, rng):
    """Whatever the reason and however long the frame: dropped frames go, and those behind them come."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=rng.choice([0, 0.1]), stall=rng.choice([0, 0.1]), burst=3)
    tunnels = [tunnel(p, "leaf2", "10.0.0.2")]
    vnis = [vni(100, 10, ["leaf2"], inner_vlan="discard"), vni(300, 30, [])]
    await bench.start(make(p, vtep={"underlay_mtu": 200, "reserved_bits": "strict"}, tunnels=tunnels, vnis=vnis))
    good = Underlay(inner=INNER4)
    longest = scale(300, min(1500, p.max_frame_length - 100))
    lengths = sorted({60, 150, 151, longest, *(rng.randint(60, longest) for _ in range(scale(2, 6)))})
    underlay: list = []
    tenant: list = []
    for n in lengths:
        payload = INNER4 + bytes(n)
        for spoiled in (
            {"dst": HOST_B},
            {"ip": {"version": 5}},
            {"ip": {"checksum_delta": 1}},
            {"ip": {"total_length": 19}},
            {"udp_length": 15},
            {"flags": 0},
            {"reserved2": 1},
            {"vni": 7},
            {"inner": payload[:12] + b"\x81\x00\x00\x05" + payload[12:]},
            {"ip": {"tos": 3}, "inner": payload[:15] + b"\0" + payload[16:]},
            {"protocol": TCP},
            {"ip": {"flags": 1}},
        ):
            underlay += [good.but(inner=payload).but(**spoiled), good]
        for tag in (10, 11, 30):
            tenant += [INNER4[:12] + b"\x81\x00" + bytes([0, tag]) + INNER4[12:] + bytes(n)]
        tenant += [INNER4 + bytes(n), INNER4[:12] + b"\x81\x00\x00\x0a" + INNER4[12:]]
    await bench.exchange(tenant, underlay)
    await bench.finish()


@case
async def marked_and_oversize_frames_between_good_ones(dut, rng):
    """Frames that must vanish stand between frames that must not."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=rng.choice([0, 0.2]), stall=rng.choice([0, 0.2]))
    await bench.start(config(p))
    n = p.max_frame_length
    good, outer = INNER4, Underlay(inner=INNER4)
    tenant: list = []
    underlay: list = []
    host: list = []
    for _ in range(scale(6, 12)):
        tenant += [good, (good + rng.randbytes(rng.randint(0, 90)), True), good]
        underlay += [outer, (bytes(outer.but(trailer=bytes(rng.randint(0, 90)))), True), outer.but(protocol=TCP)]
        underlay += [(bytes(outer.but(protocol=TCP)), True), outer.but(udp_length=9), outer]
        host += [good, (good, True)]
    for extra in (1, p.lanes) if scale(0, 1) else (1,):
        tenant += [bytes(n + extra), good, (bytes(n + extra), True), good]
        underlay += [bytes(outer.but(trailer=bytes(n + extra))), outer]
    underlay += [BROADCAST + bytes(n - 5), outer]
    await bench.exchange(tenant, underlay, host)
    await bench.finish()
