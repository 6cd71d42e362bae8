"""What every board's file has to hold."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from vtep_boards.clocks import REFERENCE_HZ
from vtep_boards.facts import BOARDS
from vtep_boards.facts.board import Board
from vtep_boards.flow import lpf

WIRES = {"txc", "tx_ctl", "rxc", "rx_ctl", *(f"{way}d{bit}" for way in ("tx", "rx") for bit in range(4))}

# Balls of the packages that exist; rows have no I, O, Q, S, X, Z.
PACKAGES = {"CABGA256": ("ABCDEFGHJKLMNPRT", 16), "CABGA381": ("ABCDEFGHJKLMNPRTUVWY", 20)}

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def test_the_boards_that_are_asked_for() -> None:
    assert set(BOARDS) == {
        "versa-ecp5",
        "versa-ecp5-5g",
        "colorlight-5a-75b-7.0",
        "colorlight-5a-75b-8.2",
        "colorlight-5a-75e-6.0",
        "colorlight-5a-75e-8.2",
        "colorlight-i5",
        "colorlight-i9",
    }


@each_board
def test_no_pin_twice(board: Board) -> None:
    assert [pin for pin, count in Counter(pin for _, pin, _ in board.pins()).items() if count > 1] == []
    assert max(Counter(name for name, _, _ in board.pins()).values()) == 1


@each_board
def test_pins_are_balls_of_the_package(board: Board) -> None:
    rows, columns = PACKAGES[board.package]
    for name, pin, _ in board.pins():
        match = re.fullmatch(rf"([{rows}])([1-9]\d?)", pin)
        assert match, (name, pin)
        assert int(match[2]) <= columns, (name, pin)


@each_board
def test_all_wires_of_both_ports(board: Board) -> None:
    names = {name for name, _, _ in board.pins()}
    for port in range(2):
        prefix = f"port{port}_"
        assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == WIRES
    assert {"clock", "serial_rx", "serial_tx", "phy0_reset_n", "phy0_mdc", "phy0_mdio"} <= names


@each_board
def test_colorlight_shares_what_manages_phys(board: Board) -> None:
    assert len(board.managements) == (1 if board.name.startswith("colorlight") else 2)


@each_board
def test_clocks_sample_in_the_middle(board: Board) -> None:
    """RGMII 2.0: a receiver's clock is 1.0 to 2.6 ns behind the data; a bit lasts 4."""
    assert 1.5 <= board.receive_clock_ns <= 2.5
    assert 1.5 <= board.transmit_clock_ns <= 2.5


def test_delays_add_up() -> None:
    board = BOARDS["colorlight-i5"]
    phy = replace(board.phy, receive_delay_ns=0.0, transmit_delay_ns=0.0)
    bare = replace(board, phy=phy, receive_taps=0, transmit_taps=80)
    assert bare.receive_clock_ns == pytest.approx(0.975)
    assert bare.transmit_clock_ns == pytest.approx(2.0)


@each_board
def test_every_clock_is_constrained(board: Board) -> None:
    text = lpf(board)
    frequencies = dict(re.findall(r'^FREQUENCY PORT "(\w+)" (\S+) MHZ;$', text, re.MULTILINE))
    assert frequencies == {"clock": f"{board.clock.hz / 1e6:g}", "port0_rxc": "125", "port1_rxc": "125"}
    assert board.clock.hz % REFERENCE_HZ == 0


@each_board
def test_every_pin_is_placed(board: Board) -> None:
    text = lpf(board)
    places = dict(re.findall(r'^LOCATE COMP "(\w+)" SITE "(\w+)";$', text, re.MULTILINE))
    assert places == {name: pin for name, pin, _ in board.pins()}
    kinds = set(re.findall(r'^IOBUF PORT "(\w+)" IO_TYPE=\w+.*;$', text, re.MULTILINE))
    assert kinds == set(places)


@each_board
def test_says_where_it_is_from(board: Board) -> None:
    assert board.source
    assert "Not verified" in board.phy.source


@each_board
def test_phys_are_not_reset_where_they_make_the_clock(board: Board) -> None:
    assert board.clock.from_phy == (board.phy.name == "Realtek RTL8211F")
