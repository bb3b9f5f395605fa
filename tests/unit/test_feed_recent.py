"""The buffer of recent lines that clients of the stream read from."""

import zlib

from sinks.feed.deflated import HEAD, end
from sinks.feed.recent import Entry, Recent


def frame(entry: Entry) -> bytes:
    return b"<%d>" % entry.offset


def filled(offsets: list[int], *, floor: int = -1, lines: int = 100, size: int = 1 << 20) -> Recent:
    recent = Recent(floor, lines, size)
    for offset in offsets:
        recent.add(Entry(offset, b"xxxx"))
    return recent


def given(recent: Recent, offset: int, size: int = 1 << 20) -> tuple[bytes, int] | None:
    """Give text and last offset of what follows; what is deflated must say the same."""
    run = recent.after(offset, frame, size)
    if run is None:
        return None
    assert zlib.decompress(HEAD + run.deflated.content + end(run.deflated.checksum)) == run.text
    return run.text, run.last


def test_a_client_gets_what_follows_its_offset_across_gaps() -> None:
    recent = filled([0, 1, 5, 6])

    assert given(recent, -1) == (b"<0><1><5><6>", 6)
    assert given(recent, 1) == (b"<5><6>", 6)
    assert given(recent, 3) == (b"<5><6>", 6)
    assert given(recent, 6) == (b"", 6)
    assert given(recent, 9) == (b"", 9)


def test_a_large_answer_comes_in_parts_without_leaving_any_out() -> None:
    recent, got, after = filled(list(range(10))), b"", -1
    while (found := given(recent, after, 5)) and found[0]:
        got, after = got + found[0], found[1]
        assert len(found[0]) <= 6

    assert got == b"".join(b"<%d>" % offset for offset in range(10))


def test_what_has_left_is_not_given_as_if_it_had_never_been() -> None:
    recent = filled(list(range(100)), lines=20)

    assert len(recent) <= 20
    assert recent.last == 99
    assert given(recent, recent.floor - 1) is None
    first = given(recent, recent.floor, 1)
    assert first == (b"<%d>" % (recent.floor + 1), recent.floor + 1)


def test_many_bytes_leave_as_many_lines_do_but_the_last_line_always_stays() -> None:
    assert len(filled(list(range(100)), size=40)) <= 10
    assert len(filled([1, 2, 3], size=1)) == 1


def test_a_line_is_written_once_for_all_clients() -> None:
    recent, written = filled([0, 1]), list[int]()

    def counted(entry: Entry) -> bytes:
        written.append(entry.offset)
        return frame(entry)

    runs = [recent.after(after, counted, 1 << 20) for after in (-1, -1, 0)]

    assert written == [0, 1]
    assert runs[0] is runs[1]


def test_a_line_that_comes_is_not_missed_by_who_was_given_nothing_before() -> None:
    recent = filled([0])

    assert given(recent, 0) == (b"", 0)
    recent.add(Entry(1, b"xxxx"))
    assert given(recent, 0) == (b"<1>", 1)
    assert given(recent, -1) == (b"<0><1>", 1)


def test_as_many_clients_as_there_are_cost_no_more_than_a_few_runs() -> None:
    recent = filled(list(range(1000)), lines=1000)
    for offset in range(900):
        recent.after(offset, frame, 8)

    assert len(recent._runs) < 100
