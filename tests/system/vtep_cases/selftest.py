"""Does the bench notice? The core runs one configuration, the model another, or what came out is tampered with."""

import dataclasses

from vtep_sim.cocotb.bench import Bench, Mismatch, as_frames
from vtep_sim.cocotb.frames import CTAG, STAG, Underlay
from vtep_sim.golden import GoldenModel

from .cases import case, parameters
from .configs import BROADCAST, HOST_B, fdb, make, tunnel, vni
from .traffic import inner_of, simple

TENANT = [inner_of(100, ((CTAG, 10),)), inner_of(80), inner_of(90, ((CTAG, 10),), dst=BROADCAST), inner_of(1400)]
UNDERLAY = [
    Underlay(inner=inner_of(70)).ecn(3),
    Underlay(inner=inner_of(70, ((STAG, 5),)), reserved2=1),
    Underlay(inner=inner_of(70), udp_checksum=1),
    Underlay(inner=inner_of(70), dst=b"\x02\0\0\0\0\x77"),
]


def variants(p):
    """Configurations that differ from the first in one thing that the traffic above shows."""

    def one(vtep=None, vlan=10, flood=("a", "b"), passes="pass", known="a", **policy):
        policy = {"ttl": 64, "dscp": 0, "df": "unset"} | policy
        return make(
            p,
            vtep=vtep,
            tunnels=[tunnel(p, "a", "10.0.0.2", **policy), tunnel(p, "b", "10.0.0.3")],
            vnis=[vni(100, vlan, flood, inner_vlan=passes), vni(200, 0, ["b"])],
            entries=[fdb(100, HOST_B, known)],
        )

    yield "nothing", one()
    yield "mac", one({"mac": "02:00:00:00:00:77"})
    yield "ipv4", one({"ipv4": "10.0.0.7"})
    yield "udp_port", one({"udp_port": 4790})
    yield "underlay_mtu", one({"underlay_mtu": 1400})
    yield "source_port_base", one({"source_port_base": 49151})
    yield "source_port_bits", one({"source_port_bits": 1})
    yield "reserved_bits", one({"reserved_bits": "strict"})
    yield "promiscuous", one({"promiscuous": True})
    if p.udp_checksum:
        yield "udp_checksum_rx", one({"udp_checksum_rx": "ignore"})
        yield "udp_checksum", one(udp_checksum=True)
    yield "vlan", one(vlan=11)
    yield "flood order", one(flood=("b", "a"))
    yield "flood", one(flood=("a",))
    yield "inner_vlan", one(passes="discard")
    yield "fdb", one(known="b")
    yield "remote_mac", one(remote_mac="02:00:00:00:00:78")
    yield "tunnel's udp_port", one(udp_port=9)
    yield "ttl", one(ttl=63)
    yield "ttl inherit", one(ttl="inherit", dscp=1)
    yield "dscp", one(dscp=1)
    yield "df", one(df="set")


@case
async def the_bench_notices_every_wrong_prediction(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start()
    configs = dict(variants(p))
    for name, other in configs.items():
        await bench.reset()
        await bench.configure(configs["nothing"])
        bench.model = GoldenModel(
            other,
            encap_cut_through=bench.encap_cut_through,
            decap_cut_through=bench.decap_cut_through,
            max_frame_length=p.max_frame_length,
            ipv6=p.ipv6,
        )
        try:
            await bench.exchange(TENANT, UNDERLAY)
        except Mismatch:
            assert name != "nothing", "a right prediction was refused"
        else:
            assert name == "nothing", f"a wrong {name} was not noticed"


@case
async def the_bench_notices_tampered_outputs(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    frames = {
        "tenant": as_frames([inner_of(70 + n) for n in range(4)]),
        "underlay": as_frames([Underlay(inner=inner_of(70 + n)) for n in range(4)]),
        "host": as_frames([bytes([n]) * 60 for n in range(4)]),
    }

    def lose(out):
        del out.tenant[1]

    def swap(out):
        out.underlay[0], out.underlay[-1] = out.underlay[-1], out.underlay[0]

    def repeat(out):
        out.tenant.append(out.tenant[-1])

    def flip(out):
        data = bytearray(out.tenant[2].data)
        data[-1] ^= 1
        out.tenant[2] = dataclasses.replace(out.tenant[2], data=bytes(data))

    def invent(out):
        out.host.append(out.tenant[0])

    for tamper in (lose, swap, repeat, flip, invent):
        await bench.reset()
        await bench.configure(simple(p))
        for port, some in frames.items():
            bench.send(port, some)
        outputs = await bench.drain()
        prediction = bench.model.run(**frames)
        await bench.judge(outputs, prediction)
        tamper(outputs)
        try:
            await bench.judge(outputs, prediction)
        except Mismatch:
            continue
        raise AssertionError(f"{tamper.__name__} was not noticed")
