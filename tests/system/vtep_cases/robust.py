"""Resets in the middle of everything, broken keep, tables rewritten under traffic, the counter port."""

from dataclasses import replace
from ipaddress import IPv4Address

from cocotb import start_soon
from cocotb.triggers import ClockCycles

from vtep.config import Mode, VtepParameters
from vtep.control.counters import COUNTER_ADDRESS_BITS, DECAP_REASONS, ENCAP_REASONS, counter_map
from vtep_host.device import Device
from vtep_host.difference import contents
from vtep_sim.cocotb.bench import PORTS, Bench, as_frames
from vtep_sim.cocotb.frames import Underlay, ethernet
from vtep_sim.golden import Frame, GoldenModel

from .cases import case, parameters, scale
from .configs import BROADCAST, HOST_A, HOST_B, random_config
from .generator import Traffic
from .traffic import inner_of, simple


async def _load(bench: Bench, rng, count: int = 40, largest: int = 400) -> dict[str, list[Frame]]:
    """Random frames for every port."""
    traffic = Traffic(bench.parameters, bench.config, rng, largest=largest)
    beats = 6 * largest * 8 // bench.parameters.data_width + 20 * count
    return {
        "tenant": traffic.many(traffic.tenant, count, beats),
        "underlay": traffic.many(traffic.underlay, count, beats),
        "host": traffic.many(traffic.host, count // 2, beats),
    }


@case
async def reset_in_the_middle_of_frames(dut, rng):
    """Whatever a reset cuts, afterwards everything is empty, counts are 0, and the core works as new."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=0.1, stall=rng.choice([0.0, 0.3, 0.8]), burst=3)
    await bench.start(random_config(p, rng))
    for _ in range(scale(2, 6)):
        for port, frames in (await _load(bench, rng)).items():
            bench.send(port, frames)
        await ClockCycles(bench.clk, rng.randint(1, rng.choice([30, 300, 1500])))
        await bench.reset(rng.choice([1, 1, 2, 5]))
        after = await bench.drain()
        assert not any((after.tenant, after.underlay, after.host)), "a frame came out after reset"
        counts = await bench.counters()
        assert not any(counts.values()), f"counters after reset: { ({k: v for k, v in counts.items() if v}) }"
        config = random_config(p, rng)
        await bench.configure(config)
        await bench.exchange(**await _load(bench, rng, count=12))
    await bench.finish()


async def _reset_at_every_clock(dut, rng, port: str) -> None:
    """One port's frames are cut by a reset of one clock, at every clock from the first beat on."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    cut = {
        "tenant": [inner_of(90), inner_of(150, dst=BROADCAST)],
        "underlay": [
            Underlay(inner=inner_of(90), udp_checksum="right" if p.udp_checksum else 0),
            Underlay(inner=inner_of(60), protocol=6),
            Underlay(inner=inner_of(130), ip={"options": bytes(8)}),
        ],
        "host": [inner_of(90), inner_of(61)],
    }[port]
    good = [inner_of(100), inner_of(70)]
    outer = [Underlay(inner=inner_of(100)), Underlay(inner=inner_of(80), protocol=6), Underlay(inner=inner_of(75))]
    clocks = range(1, 60) if scale(0, 1) else rng.sample(range(1, 40), 6)
    for n in clocks:
        bench.send(port, cut)
        await ClockCycles(bench.clk, n)
        await bench.reset(1)
        await bench.configure(simple(p))
        try:
            await bench.exchange(good, outer, good, count=n % 16 == 0)
        except AssertionError as mismatch:
            raise AssertionError(f"after a reset {n} clocks behind the first frame: {mismatch}") from None
    await bench.finish()


@case
async def reset_at_every_clock_of_tenant_frames(dut, rng):
    await _reset_at_every_clock(dut, rng, "tenant")


@case
async def reset_at_every_clock_of_underlay_frames(dut, rng):
    await _reset_at_every_clock(dut, rng, "underlay")


@case(deep=True)
async def reset_at_every_clock_of_host_frames(dut, rng):
    await _reset_at_every_clock(dut, rng, "host")


@case(deep=True)
async def reset_with_every_output_blocked(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    for sink in bench.sinks.values():
        sink.pause = True
    count = 40 + 4000 // p.lanes // 100
    bench.send("tenant", [inner_of(200)] * count)
    bench.send("underlay", [Underlay(inner=inner_of(200))] * count)
    bench.send("host", [inner_of(200)] * count)
    await ClockCycles(bench.clk, 3000)
    for sink in bench.sinks.values():
        sink.pause = False
    await bench.reset(1)
    after = await bench.drain()
    assert not any((after.tenant, after.underlay, after.host)), "a frame came out after reset"
    await bench.configure(simple(p))
    await bench.exchange([inner_of(100)] * 3, [Underlay(inner=inner_of(100))] * 3, [inner_of(100)] * 3)
    await bench.finish()


@case(deep=True)
async def reset_empties_the_tables(dut, rng):
    """Without a configuration no tenant frame finds a VNI, and no underlay frame is for us; the host passes."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    await bench.exchange([inner_of(100)], [Underlay(inner=inner_of(100))])
    await bench.reset(1)
    good = inner_of(100)
    bench.send("tenant", [good, inner_of(100, ((0x8100, 10),)), inner_of(60, dst=BROADCAST)])
    bench.send("underlay", [Underlay(inner=good), Underlay(inner=good, dst=HOST_A)])
    outputs = await bench.drain()
    assert not any((outputs.tenant, outputs.underlay, outputs.host))
    counts = await bench.counters()
    reasons = {name: counts[name] for name in (*ENCAP_REASONS, *DECAP_REASONS) if counts[name]}
    assert reasons == {"no_vni": 3, "not_mine": 2}, reasons
    await bench.finish()


@case(deep=True)
async def outputs_blocked_for_long_lose_nothing(dut, rng):
    """Inputs must wait when the queues are full; no frame is dropped for want of room."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    for sink in bench.sinks.values():
        sink.pause = True
    # More than all queues hold together.
    size = min(p.max_frame_length - 60, 1400)
    depth = max(p.queue_beats(f"{name}_queue_bytes") * p.lanes for name in ("encap", "decap", "host"))
    count = 3 if not scale(0, 1) and p.data_width < 32 else min(2 * depth // size + 4, 40)
    frames = {
        "tenant": as_frames([inner_of(size - i) for i in range(count)]),
        "underlay": as_frames([Underlay(inner=inner_of(size - i)) for i in range(count)]),
        "host": as_frames([bytes([i]) * size for i in range(count)]),
    }
    for port, some in frames.items():
        bench.send(port, some)
    await ClockCycles(bench.clk, 2 * count * size // p.lanes + 2000)
    for sink in bench.sinks.values():
        sink.pause = False
    await bench.judge(await bench.drain(), bench.model.run(**frames), frames)
    await bench.finish()


@case(deep=True)
async def one_output_blocked_does_not_block_the_other_direction(dut, rng):
    """The tenant output stands still; encapsulation and host go on. And the other way round."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    tenant = as_frames([inner_of(100)] * 40)
    underlay = as_frames([Underlay(inner=inner_of(100))] * 3)
    bench.sinks["tenant"].pause = True
    bench.send("underlay", underlay)
    bench.send("tenant", tenant)
    await ClockCycles(bench.clk, 40 * 250 * 8 // p.data_width + 3000)
    assert bench.sinks["underlay"].count() == 40, "encapsulation waits for the tenant output"
    bench.sinks["tenant"].pause = False
    await bench.judge(await bench.drain(), bench.model.run(tenant=tenant, underlay=underlay))
    bench.sinks["underlay"].pause = True
    underlay = as_frames([Underlay(inner=inner_of(100))] * 40)
    tenant = tenant[:3]
    bench.send("tenant", tenant)
    bench.send("underlay", underlay)
    await ClockCycles(bench.clk, 40 * 250 * 8 // p.data_width + 3000)
    assert bench.sinks["tenant"].count() == 40, "decapsulation waits for the underlay output"
    bench.sinks["underlay"].pause = False
    await bench.judge(await bench.drain(), bench.model.run(tenant=tenant, underlay=underlay))
    await bench.finish()


def _broken_keeps(length: int, lanes: int, rng) -> list[list[int]]:
    """Patterns of tkeep, one entry a byte lane, each breaking a rule of the packet stream."""
    beats = length // lanes
    patterns = []

    def pattern(beat: int, lane_bits: list[int]) -> list[int]:
        keep = [1] * (beats * lanes)
        keep[beat * lanes : (beat + 1) * lanes] = lane_bits
        return keep

    empty = [0] * lanes
    for beat in {0, 1, rng.randrange(beats), beats - 2, beats - 1}:
        patterns.append(pattern(beat, empty))
        if lanes > 1:
            hole = [1] * lanes
            hole[rng.randrange(lanes - 1)] = 0
            patterns.append(pattern(beat, hole))
            if beat != beats - 1:
                short = [1] * lanes
                n = rng.randint(1, lanes - 1)
                short[n:] = [0] * (lanes - n)
                patterns.append(pattern(beat, short))
    return patterns


@case
async def broken_keep_makes_a_frame_bad(dut, rng):
    """A hole, an empty beat, a partly filled beat before the last: the frame is bad, its neighbours are not."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=rng.choice([0, 0.3]))
    await bench.start(simple(p))
    bench.allowed_ragged = {f"s_axis_{port}" for port in PORTS}
    lanes = p.lanes
    size = -(-200 // lanes) * lanes + (lanes if lanes > 32 else 0)
    good = inner_of(size)
    outer = bytes(Underlay(inner=good, trailer=b""))
    outer += bytes(-len(outer) % lanes)
    patterns = _broken_keeps(size, lanes, rng)
    bad_outer = _broken_keeps(len(outer), lanes, rng)
    marked = {"tenant": 0, "underlay": 0, "host": 0}
    bench.send("tenant", [good])
    for keep in patterns:
        bench.send("tenant", [bench.axi("tenant", Frame(good), keep=keep), good])
    bench.send("underlay", [outer])
    for keep in bad_outer:
        bench.send("underlay", [bench.axi("underlay", Frame(outer), keep=keep), outer])
    outputs = await bench.drain()
    prediction = bench.model.run(
        tenant=as_frames([good] * (len(patterns) + 1)), underlay=as_frames([outer] * (len(bad_outer) + 1))
    )
    for port in ("tenant", "underlay"):
        frames = getattr(outputs, port)
        marked[port] = sum(frame.error for frame in frames)
        setattr(outputs, port, [frame for frame in frames if not frame.error])
    await bench.judge(outputs, prediction, count=False)
    if p.encap_mode is not Mode.CUT_THROUGH:
        assert not marked["underlay"]
    if p.decap_mode is not Mode.CUT_THROUGH:
        assert not marked["tenant"]
    counts = await bench.counters()
    assert counts["tenant_error"] == len(patterns), counts["tenant_error"]
    assert counts["underlay_error"] == len(bad_outer), counts["underlay_error"]
    assert counts["tenant_rx_frames"] == 2 * len(patterns) + 1
    assert counts["underlay_rx_frames"] == 2 * len(bad_outer) + 1

    # From the host such a frame goes on, marked.
    for keep in patterns:
        bench.send("host", [bench.axi("host", Frame(good), keep=keep), good])
    outputs = await bench.drain()
    errors = [frame.error for frame in outputs.underlay]
    assert errors == [True, False] * len(patterns), errors
    assert all(frame.data == good for frame in outputs.underlay[1::2])
    await bench.finish()


@case(deep=True)
async def endless_host_frame_does_not_hang_the_core(dut, rng):
    """A frame longer than every queue: whatever becomes of it, the frames behind it come out."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    beats = 2 * p.queue_beats("host_queue_bytes") if scale(0, 1) or p.data_width > 16 else 0
    length = max(beats * p.lanes, p.max_frame_length) + 3
    long = bytes(length)
    good = inner_of(120)
    bench.send("host", [good, long, good, good])
    outputs = await bench.drain()
    others = [frame.data for frame in outputs.underlay if frame.data == good]
    assert len(others) == 3, f"{len(others)} of 3 good frames came out"
    for frame in outputs.underlay:
        assert frame.data == good or frame.error or frame.data == long, "a cut frame without its mark"
    await bench.exchange([good], [Underlay(inner=good)], [good], count=False)
    await bench.finish()


@case
async def configuration_rewritten_under_traffic_changes_nothing(dut, rng):
    """Writing every entry again with what it holds never disturbs a lookup."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=0.05)
    config = random_config(p, rng)
    await bench.start(config)
    stop = False

    async def rewrite():
        settings, entries = contents(config, p)

        def write(device: Device) -> None:
            for table, index, bits in chosen:
                device.write_entry(table, index, bits)
            device.write_settings(settings)

        while not stop:
            chosen = [rng.choice(entries) for _ in range(4)] if entries else []
            await bench.registers.run(write)

    for _ in range(scale(1, 3)):
        stop = False
        writer = start_soon(rewrite())
        load = await _load(bench, rng, count=60)
        for port, frames in load.items():
            bench.send(port, frames)
        while not all(source.idle() for source in bench.sources.values()):
            await ClockCycles(bench.clk, 50)
        stop = True
        await writer
        await bench.judge(await bench.drain(), bench.model.run(**load), load)
    await bench.finish()


@case
async def a_change_of_settings_leaves_every_header_whole(dut, rng):
    """Own addresses are rewritten while frames leave: each header is of the old ones or of the new ones."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    config = simple(p)
    await bench.start(config)
    vtep = config.vtep
    other = replace(
        vtep,
        mac=bytes(byte ^ 0x5A for byte in vtep.mac[:-1]) + b"\x02",
        ipv4=IPv4Address("203.0.113.250"),
        source_port_base=vtep.source_port_base ^ 0x2000,
    )
    choices = [config, replace(config, vtep=replace(other, mac=bytes([0x02]) + other.mac[1:]))]
    load: list[Frame] = []
    settings = [contents(each, p)[0] for each in choices]
    changes = 0

    def change(device: Device) -> None:
        device.write_settings(settings[(changes + 1) % 2])

    while changes < scale(4, 12):
        more = as_frames([inner_of(rng.randint(60, 130)) for _ in range(60)])
        bench.send("tenant", more)
        load += more
        while not bench.sources["tenant"].idle():
            await bench.registers.run(change)
            changes += 1
    left = (await bench.drain()).underlay
    assert len(left) == len(load)
    wanted = [
        GoldenModel(each, max_frame_length=p.max_frame_length).run(tenant=load).underlay_encap for each in choices
    ]
    used = [0, 0]
    for number, frame in enumerate(left):
        which = [frame.data == frames[number].data for frames in wanted]
        assert any(which), f"frame {number} is of neither: {frame.data[:70].hex()}"
        used[which.index(True)] += 1
    assert all(used)
    await bench.finish()


@case(deep=True)
async def counters_read_under_traffic_only_rise(dut, rng):
    """Each value read while frames pass lies between those before and after, frames and bytes alike."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    names = ("tenant_rx_frames", "tenant_rx_bytes", "underlay_tx_bytes", "underlay_rx_frames", "tenant_tx_bytes")
    before = [0] * len(names)
    count = scale(20, 60)
    load = {
        "tenant": as_frames([inner_of(rng.randint(60, 200)) for _ in range(count)]),
        "underlay": as_frames([Underlay(inner=inner_of(rng.randint(60, 200))) for _ in range(count)]),
        "host": [],
    }
    for port, frames in load.items():
        bench.send(port, frames)
    while not all(source.idle() for source in bench.sources.values()):
        values = await bench.registers.run(lambda device: device.read_counters(names))
        now = [values[name] for name in names]
        assert all(a <= b for a, b in zip(before, now, strict=True)), (names, before, now)
        before = now
        await ClockCycles(bench.clk, rng.randint(1, 40))
    await bench.judge(await bench.drain(), bench.model.run(**load), load)
    counts = await bench.counters()
    assert all(value <= counts[name] for name, value in zip(names, before, strict=True))
    await bench.finish()


@case(deep=True)
async def any_counter_address_is_answered(dut, rng):
    """Also of no counter, of what differs from one in a bit among them."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    await bench.exchange([inner_of(90)] * 3, [Underlay(inner=inner_of(90))] * 2, [b"x"])
    known = counter_map(p)
    size = 1 << COUNTER_ADDRESS_BITS
    near = {address ^ 1 << bit for address in known.values() for bit in range(COUNTER_ADDRESS_BITS)} | set(
        known.values()
    )
    everything = rng.sample(sorted(near), min(len(near), scale(150, 3000))) + rng.sample(range(size), scale(50, 500))
    passed = [known["tenant_rx_frames"], known["underlay_rx_frames"], known["host_rx_bytes"]]
    everything = [*(set(everything) - set(passed)), *passed]

    def read(device: Device) -> list[int]:
        values = []
        for address in everything:
            device.registers["COUNTER_COMMAND"].write_fields(address=address)
            device.registers["COUNTER_STATUS"].read()
            low, high = (device.registers[f"COUNTER_{half}"].read() for half in ("LOW", "HIGH"))
            values.append(high << 32 | low)
        return values

    values = await bench.registers.run(read)
    assert values[-3:] == [3, 2, 1], values[-3:]
    again = dict(zip(everything, values, strict=True))
    wanted = await bench.counters()
    inverse = {address: name for name, address in known.items()}
    for address, value in again.items():
        if address in inverse and inverse[address] in wanted:
            assert value == wanted[inverse[address]], inverse[address]
    await bench.finish()


@case
async def copies_of_counters_stand_still_and_clearing_leaves_them(dut, rng):
    """A snapshot keeps what was counted, while the counters go on, and when they are cleared."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=0.1)
    await bench.start(random_config(p, rng))
    names = list(counter_map(p))

    async def read(*, snapshot: bool = False) -> dict[str, int]:
        return await bench.registers.run(lambda device: device.read_counters(names, snapshot=snapshot))

    await bench.exchange(**await _load(bench, rng, count=scale(20, 60)))
    first = await read()
    assert sum(first.values()) > 0
    await bench.registers.run(Device.snapshot_counters)
    await bench.exchange(**await _load(bench, rng, count=scale(20, 60)))
    second = await read()
    assert second != first
    assert await read(snapshot=True) == first
    await bench.registers.run(Device.clear_counters)
    assert await read() == dict.fromkeys(names, 0)
    assert await read(snapshot=True) == first

    # They count on from 0, each by what the model's rise by.
    before = dict(bench.model.counters)
    load = await _load(bench, rng, count=20)
    for port, frames in load.items():
        bench.send(port, frames)
    await bench.drain()
    after = bench.model.run(**load).counters
    late = ("tenant_tx", "host_tx", "underlay_tx")  # marked frames of cut-through operation leave there as well
    counts = await bench.counters()
    for name, value in after.items():
        if not name.startswith(late):
            assert counts[name] == value - before[name], name
    await bench.finish()


def _announces(p: VtepParameters) -> bool:
    return p.tenant_length and p.encap_mode is Mode.CUT_THROUGH


@case(when=_announces)
async def announced_length_that_is_wrong_is_a_tenant_error(dut, rng):
    """Encap cut-through: the headers in front promise a length; a frame that breaks it leaves marked or not at all."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=rng.choice([0, 0.3]))
    await bench.start(simple(p))
    good = inner_of(200)
    wrong = [200 + n for n in (-150, -p.lanes, -2, -1, 1, 2, p.lanes, 64, 1000)]
    wrong = [n for n in wrong if 14 <= n <= p.max_frame_length]
    wrong += [inner for inner in (14, 60) if inner not in wrong]
    bench.send("tenant", [good])
    for announced in wrong:
        bench.send("tenant", [bench.axi("tenant", Frame(good), announced=announced), good])
    outputs = await bench.drain()
    frames = as_frames([item for _ in wrong for item in (good, (good, True))] + [good])
    prediction = bench.model.run(tenant=frames)
    await bench.judge(outputs, prediction)
    await bench.finish()


@case(when=_announces)
async def announced_length_rules_only_with_the_first_beat(dut, rng):
    """The bench sends noise in its place on every later beat; lengths from one beat to jumbo."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    sizes = [*range(14, 14 + min(2 * p.lanes, 40)), 300, 1514, scale(1600, p.max_frame_length)]
    await bench.exchange([inner_of(n) for n in sizes if n <= p.max_frame_length])
    await bench.finish()


@case
async def broadcast_storm_with_marked_frames(dut, rng):
    """Replication under pressure: every copy of a good frame, no copy of a bad one."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=0.2, burst=3)
    await bench.start(simple(p))
    frames = []
    for _ in range(scale(20, 80)):
        tags = rng.choice([(), ((0x8100, 10),), ((0x8100, 10),)])
        frame = ethernet(BROADCAST, HOST_B, 0x88B5, rng.randbytes(rng.randint(0, 200)), tags=tags)
        frames.append(Frame(frame, rng.random() < 0.3))
    await bench.exchange(frames)
    await bench.finish()


@case
async def idle_is_low_while_a_frame_is_inside(dut, rng):
    """From the clock behind a frame's first beat until its last one has left."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=0.5, stall=0.3, burst=20)
    await bench.start(simple(p))
    size = 3 * p.lanes + 60
    for port in PORTS:
        for _ in range(4):
            frames = [Underlay(inner=inner_of(size), vni=200)] if port == "underlay" else [inner_of(size)]
            await bench.exchange(**{port: frames}, count=False)
    found = bench.idle_violations()
    assert not found, found
    await bench.finish()
