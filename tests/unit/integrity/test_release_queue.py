import pytest

from helpers.packet_bench import assert_refused, simulate
from vtep.integrity.release_queue import ReleaseQueue


@pytest.mark.parametrize(("depth", "reserve"), [(2, 0), (16, 0), (16, 5), (32, 3)])
def test_order_levels_and_notes(rng, depth, reserve):
    dut = ReleaseQueue(8, 4, depth, reserve)
    released = []  # entry and note, in the queue
    pending = []  # written, not released
    popped = 0

    async def bench(ctx):
        nonlocal popped
        busy = 0.9
        for clock in range(1500):
            if clock % 50 == 0:
                busy = rng.choice((0.1, 0.5, 0.9))
            level = len(pending) + len(released)
            assert ctx.get(dut.room) == (depth - level > reserve), clock
            assert ctx.get(dut.valid) == bool(released), clock
            write = depth > level and rng.random() < busy
            release = bool(pending) and rng.random() < 0.7
            pop = bool(released) and rng.random() < 1 - busy / 2
            entry, note = rng.getrandbits(8), rng.getrandbits(4)
            ctx.set(dut.book, write)
            ctx.set(dut.write, write)
            ctx.set(dut.write_entry, entry)
            ctx.set(dut.release, release)
            ctx.set(dut.release_note, note)
            ctx.set(dut.pop, pop)
            if released:
                assert (ctx.get(dut.read_entry), ctx.get(dut.read_note)) == released[0]
            await ctx.tick()
            if pop:
                released.pop(0)
                popped += 1
            if release:
                released.append((pending.pop(0), note))
            if write:
                pending.append(entry)

    simulate(dut, bench)
    assert popped > 100


def test_bad_parameters_are_refused():
    assert_refused("power of two within 2 .. 1024", ReleaseQueue, 8, 1, 12, 0)
    assert_refused("depth must be an integer within 2 .. 1024", ReleaseQueue, 8, 1, 1, 0)
    assert_refused("depth must be an integer within 2 .. 1024", ReleaseQueue, 8, 1, 2048, 0)
    assert_refused("reserve must be an integer within 0 .. 15", ReleaseQueue, 8, 1, 16, 16)
