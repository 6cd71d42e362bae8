"""Captures: what is read back, what other software reads, and every refusal."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgReader, RawPcapNgReader, RawPcapReader, rdpcap, wrpcap, wrpcapng

from vtep_sim.captures import CapturedFrame, CaptureError, OutputFiles, capture_bytes, read_capture

FRAMES = [CapturedFrame(bytes(range(14 + n)), 1_700_000_000_123_456_789 + n * 1001) for n in range(40)]


def saved(folder: Path, content: bytes, name: str = "a.pcap") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def pcap(records: bytes = b"", *, order: str = "<", magic: int = 0xA1B2C3D4, version=(2, 4), link: int = 1) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, 65535, link) + records


def record(data: bytes, *, order: str = "<", seconds: int = 5, fraction: int = 7, original: int | None = None) -> bytes:
    length = len(data) if original is None else original
    return struct.pack(order + "IIII", seconds, fraction, len(data), length) + data


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<", major: int = 1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1), order)


def interface(order: str = "<", *, link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def packet(data: bytes, ticks: int, order: str = "<", *, index: int = 0, original: int = -1, options=b"") -> bytes:
    original = len(data) if original < 0 else original
    head = struct.pack(order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), original)
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def refusal(path: Path) -> str:
    with pytest.raises(CaptureError) as caught:
        read_capture(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@given(
    st.lists(st.tuples(st.binary(max_size=200), st.integers(0, (1 << 32) * 10**9 - 1), st.integers(0, 9))),
    st.booleans(),
)
def test_round_trip(tmp_path_factory, frames, pcapng) -> None:
    path = tmp_path_factory.mktemp("captures") / "a"
    written = [CapturedFrame(data, stamp, len(data) + cut) for data, stamp, cut in frames]
    path.write_bytes(capture_bytes(written, pcapng=pcapng))
    capture = read_capture(path)
    assert capture.snapped == sum(cut > 0 for _, _, cut in frames)
    got = [(frame.data, frame.stamp, frame.number) for frame in capture.frames]
    assert got == [(data, stamp, n) for n, (data, stamp, cut) in enumerate(frames, 1) if not cut]
    padded = read_capture(path, pad_snapped=True).frames
    assert [frame.data for frame in padded] == [data + bytes(cut) for data, _, cut in frames]


@pytest.mark.parametrize("pcapng", [False, True])
def test_scapy_reads_what_is_written(tmp_path, pcapng) -> None:
    path = saved(tmp_path, capture_bytes(FRAMES, pcapng=pcapng))
    with (RawPcapNgReader if pcapng else RawPcapReader)(str(path)) as reader:
        assert [data for data, _ in reader] == [frame.data for frame in FRAMES]
    assert [int(p.time * 10**9) for p in rdpcap(str(path))] == [frame.stamp for frame in FRAMES]


@pytest.mark.parametrize("pcapng", [False, True])
def test_reads_what_scapy_writes(tmp_path, pcapng) -> None:
    path = tmp_path / "a"
    packets = [Ether(bytes(range(14, 60 + n))) for n in range(5)]
    for n, p in enumerate(packets):
        p.time = 1_700_000_000 + n
    if pcapng:
        wrpcapng(str(path), packets)
        with PcapNgReader(str(path)) as reader:
            assert len(list(reader)) == len(packets)
    else:
        wrpcap(str(path), packets)
    capture = read_capture(path)
    assert [frame.data for frame in capture.frames] == [bytes(p) for p in packets]
    assert [frame.stamp for frame in capture.frames] == [(1_700_000_000 + n) * 10**9 for n in range(5)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_byte_orders_and_units(tmp_path, order, magic, unit) -> None:
    path = saved(tmp_path, pcap(record(b"x" * 20, order=order), order=order, magic=magic))
    assert read_capture(path).frames == [CapturedFrame(b"x" * 20, 5 * 10**9 + 7 * unit, 20, 1)]


def test_pcap_with_fcs_in_its_frames(tmp_path) -> None:
    frames = record(b"x" * 20 + b"FCS.") + record(b"y" * 10, original=24) + record(b"z" * 22, original=24)
    capture = read_capture(saved(tmp_path, pcap(frames, link=1 | 1 << 26 | 2 << 28)), pad_snapped=True)
    assert [frame.data for frame in capture.frames] == [b"x" * 20, b"y" * 10 + bytes(10), b"z" * 20]
    assert capture.snapped == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("options", "ticks", "stamp"),
    [
        (b"", 5_000_001, 5_000_001_000),
        ((9, b"\x09"), 5_000_000_001, 5_000_000_001),
        ((9, b"\x8a"), 3 << 9, 1_500_000_000),
        ((9, b"\x03"), 5_001, 5_001_000_000),
    ],
)
def test_pcapng_resolutions(tmp_path, order, options, ticks, stamp) -> None:
    chosen = option(2, b"eth0", order) + (option(*options, order) if options else b"") + option(0, b"", order)
    content = section(order) + interface(order, options=chosen) + packet(b"x" * 15, ticks, order)
    assert [frame.stamp for frame in read_capture(saved(tmp_path, content)).frames] == [stamp]


def test_pcapng_stamp_offset(tmp_path) -> None:
    options = option(14, struct.pack("<q", -3)) + option(0, b"")
    content = section() + interface(options=options) + packet(b"x" * 15, 5_000_000)
    assert read_capture(saved(tmp_path, content)).frames[0].stamp == 2 * 10**9


def test_pcapng_interfaces_sections_and_other_blocks(tmp_path) -> None:
    nano = option(9, b"\x09") + option(0, b"")
    content = section() + interface() + interface(link=101) + interface(options=nano)
    content += packet(b"a" * 15, 1, options=option(1, b"a comment") + option(0, b"")) + block(5, bytes(12))
    content += packet(b"b" * 17, 2, index=2) + block(0x80000001, b"whatever")
    content += section(">") + interface(">", snaplen=16)
    content += block(3, struct.pack(">I", 15) + b"c" * 15, ">")
    content += block(2, struct.pack(">HHIIII", 0, 0, 0, 4, 14, 14) + b"d" * 14, ">")
    capture = read_capture(saved(tmp_path, content))
    assert [(frame.data, frame.stamp, frame.number) for frame in capture.frames] == [
        (b"a" * 15, 1000, 1),
        (b"b" * 17, 2, 2),
        (b"c" * 15, 0, 3),
        (b"d" * 14, 4000, 4),
    ]


def test_pcapng_simple_packet_snapped_by_its_interface(tmp_path) -> None:
    content = section() + interface(snaplen=16) + block(3, struct.pack("<I", 90) + b"c" * 16)
    capture = read_capture(saved(tmp_path, content), pad_snapped=True)
    assert [frame.data for frame in capture.frames] == [b"c" * 16 + bytes(74)]
    assert capture.snapped == 1


def test_pcapng_fcs_length(tmp_path) -> None:
    options = option(13, b"\x04") + option(0, b"")
    content = section() + interface(options=options) + packet(b"x" * 15 + b"FCS.", 1)
    assert read_capture(saved(tmp_path, content)).frames[0].data == b"x" * 15


def test_every_truncation_of_a_pcap_is_refused_or_whole(tmp_path) -> None:
    content = pcap(record(b"x" * 20) + record(b"y" * 30))
    whole = {24: 0, 24 + 36: 1, len(content): 2}
    for length in range(1, len(content) + 1):
        path = saved(tmp_path, content[:length])
        if length in whole:
            assert len(read_capture(path).frames) == whole[length]
        elif length < 4:
            assert "not a pcap or pcapng file" in refusal(path)
        elif length < 24:
            assert f"inside the file header: {length} of 24 bytes" in refusal(path)
        else:
            number = 1 if length < 60 else 2
            text = refusal(path)
            assert f"byte offset {length}" in text
            assert f"frame {number}" in text


def test_every_truncation_of_a_pcapng_is_refused_or_whole(tmp_path) -> None:
    parts = [section(), interface(), packet(b"x" * 21, 1), packet(b"y" * 30, 2)]
    content = b"".join(parts)
    borders = {sum(map(len, parts[:n])): max(0, n - 2) for n in range(1, 5)}
    for length in range(4, len(content) + 1):
        path = saved(tmp_path, content[:length])
        if length in borders:
            assert len(read_capture(path).frames) == borders[length]
        else:
            assert "cut off" in refusal(path)


def test_no_capture_at_all(tmp_path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "none.pcap")
    assert "cannot be read" in refusal(tmp_path)
    assert "it is empty" in refusal(saved(tmp_path, b""))
    assert "begins with 23 20 61 20 (byte offset 0)" in refusal(saved(tmp_path, b"# a text"))
    assert "compressed with gzip" in refusal(saved(tmp_path, b"\x1f\x8b\x08\x00"))


def test_wrong_link_type(tmp_path) -> None:
    text = refusal(saved(tmp_path, pcap(link=113)))
    assert "link type 113, LINUX_SLL; only 1, ETHERNET" in text
    content = section() + interface() + interface(link=127) + packet(b"x" * 14, 0) + packet(b"x" * 14, 0, index=1)
    text = refusal(saved(tmp_path, content))
    assert "frame 2 (interface 1) has link type 127" in text


def test_damaged_pcap(tmp_path) -> None:
    assert "pcap version 2.3 at byte offset 4" in refusal(saved(tmp_path, pcap(version=(2, 3))))
    damaged = pcap(record(b"x" * 20) + struct.pack("<IIII", 1, 1, 1 << 31, 20) + b"y" * 20)
    assert "frame 2 at byte offset 60 claims 2147483648" in refusal(saved(tmp_path, damaged))


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        (section(major=2), "pcapng version 2.0"),
        (b"\x0a\x0d\x0d\x0a" + bytes(24), "byte-order magic 00 00 00 00"),
        (section() + struct.pack("<III", 6, 14, 14), "block length 14"),
        (section() + struct.pack("<III", 5, 8, 8), "block length 8"),
        (section() + struct.pack("<III", 5, 12, 16), "12 in front and 16 behind"),
        (section() + packet(b"x" * 14, 0), "interface 0, but the section has 0"),
        (section() + interface() + packet(b"", 0, index=7), "interface 7, but the section has 1"),
        (section() + interface() + block(6, bytes(16)), "block too short: 16 of 20 bytes"),
        (section() + interface() + block(6, struct.pack("<5I", 0, 0, 0, 99, 99)), "frame 1 of 99 bytes reaches beyond"),
        (section() + interface() + block(6, struct.pack("<5I", 0, 0, 0, 1 << 30, 0)), "claims 1073741824"),
        (section() + interface(options=struct.pack("<HH", 2, 50)), "option 2 reaches beyond"),
    ],
)
def test_damaged_pcapng(tmp_path, blocks, text) -> None:
    message = refusal(saved(tmp_path, blocks, "a.pcapng"))
    assert text in message
    assert "byte offset" in message


@given(st.binary(max_size=300), st.sampled_from([b"", pcap(), section(), section() + interface()]))
def test_garbage_is_read_or_refused(tmp_path_factory, garbage, start) -> None:
    path = saved(tmp_path_factory.mktemp("captures"), start + garbage)
    with suppress(CaptureError):  # and nothing else
        read_capture(path)


def test_stamps_that_do_not_fit() -> None:
    with pytest.raises(CaptureError, match="frame 1: time stamp"):
        capture_bytes([CapturedFrame(b"x", (1 << 32) * 10**9)])
    with pytest.raises(CaptureError, match="frame 1: time stamp"):
        capture_bytes([CapturedFrame(b"x", -1)], pcapng=True)


def test_output_files_appear_together_or_not_at_all(tmp_path) -> None:
    first, second = saved(tmp_path, b"old", "first"), tmp_path / "second"

    def write(*, fail: bool) -> None:
        with OutputFiles() as files:
            files.reserve(first).write_bytes(b"new")
            files.reserve(second).write_bytes(b"new")
            if fail:
                raise RuntimeError
            files.commit()

    with pytest.raises(RuntimeError):
        write(fail=True)
    assert first.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first"]
    write(fail=False)
    assert first.read_bytes() == second.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_output_files_keep_links_and_refuse_devices(tmp_path) -> None:
    target = saved(tmp_path, b"old", "target")
    link = tmp_path / "link"
    link.symlink_to(target)
    with OutputFiles() as files:
        files.reserve(link).write_bytes(b"new")
        files.commit()
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    with OutputFiles() as files:
        with pytest.raises(OSError, match="not a regular file"):
            files.reserve(Path("/dev/null"))
        with pytest.raises(OSError, match="not a regular file"):
            files.reserve(tmp_path)
