"""Faults of the link, against the state diagram of IEEE 802.3 clause 46.3.4.3 followed column by column."""

import random

from helpers.packet_bench import simulate
from helpers.xgmii import IDLE, LOCAL_FAULT, REMOTE_FAULT, frame, to_words
from vtep.mac.link_fault import LinkFault

IDLES = [IDLE] * 4


def states(columns) -> list[str]:
    """The fault behind each column."""
    kind, count, quiet, fault = "", 0, 0, ""
    out = []
    for column in columns:
        seen = {tuple(LOCAL_FAULT): "local", tuple(REMOTE_FAULT): "remote"}.get(tuple(column))
        if seen and seen == kind and count:
            count, quiet = count + 1, 0
            if count >= 4:
                fault = seen
        elif seen:
            kind, count, quiet = seen, 1, 0
        else:
            quiet += 1
            if quiet > 127:
                count, fault = 0, ""
        out.append(fault)
    return out


def watch(columns) -> list[str]:
    """The fault that is told behind each word of two columns."""
    dut = LinkFault()
    told = []

    async def bench(ctx):
        words = to_words([lane for column in columns for lane in column])
        for data, control in words + [words[-1]] * dut.latency:
            ctx.set(dut.xgmii.rxd, data)
            ctx.set(dut.xgmii.rxc, control)
            *_, local, remote = await ctx.tick().sample(dut.local_fault, dut.remote_fault)
            assert not (local and remote)
            told.append("local" if local else "remote" if remote else "")

    simulate(dut, bench)
    return told[dut.latency :]


def check(columns) -> list[str]:
    columns = columns + [IDLES] * (len(columns) % 2)
    told = watch(columns)
    assert told == states(columns)[1::2]
    return told


def test_the_fourth_makes_a_fault_and_128_columns_without_end_it() -> None:
    for lead in (0, 1):
        head = [IDLES] * lead
        assert set(check([*head, *[LOCAL_FAULT] * 3, *[IDLES] * 140])) == {""}
        assert "local" in check([*head, *[LOCAL_FAULT] * 4, *[IDLES] * 140])
        for pause, faulty in ((127, True), (128, False)):
            told = check([*head, *[LOCAL_FAULT, *[IDLES] * pause] * 4])
            assert ("local" in told) == faulty


def test_another_kind_in_between_begins_anew() -> None:
    mixed = [LOCAL_FAULT] * 3 + [REMOTE_FAULT] * 3 + [LOCAL_FAULT] * 3
    assert set(check(mixed)) == {""}
    told = check([LOCAL_FAULT] * 6 + [REMOTE_FAULT] * 6 + [IDLES] * 140)
    assert [told.index(fault) for fault in ("local", "remote")] == [1, 4]
    assert told[-1] == ""


def test_what_is_none() -> None:
    other = [[(0x9C, 1), (0, 0), (0, 0), (3, 0)], [(0x9C, 1), (0, 0), (1, 0), (1, 0)], [(0x9C, 0), *LOCAL_FAULT[1:]]]
    wrong = [[*LOCAL_FAULT[:lane], (LOCAL_FAULT[lane][0], 1), *LOCAL_FAULT[lane + 1 :]] for lane in (1, 2, 3)]
    for column in other + wrong:
        assert set(check([column] * 8)) == {""}
    assert set(check([frame(bytes(60))[place : place + 4] for place in range(0, 72, 4)])) == {""}


def test_random_columns(rng: random.Random) -> None:
    columns = []
    for _ in range(60):
        columns += [rng.choice((LOCAL_FAULT, LOCAL_FAULT, REMOTE_FAULT, IDLES))] * rng.choice((1, 1, 2, 3, 5))
        columns += [IDLES] * rng.choice((0, 0, 0, 1, 2, 126, 127, 128, 129))
    check(columns)
