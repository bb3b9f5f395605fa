"""The buffer of recent lines that clients of the stream read from."""

from sinks.feed.recent import Entry, Recent


def frame(entry: Entry) -> bytes:
    return b"<%d>" % entry.offset


def filled(offsets: list[int], *, floor: int = -1, lines: int = 100, size: int = 1 << 20) -> Recent:
    recent = Recent(floor, lines, size)
    for offset in offsets:
        recent.add(Entry(offset, b"xxxx"))
    return recent


def test_a_client_gets_what_follows_its_offset_across_gaps() -> None:
    recent = filled([0, 1, 5, 6])

    assert recent.after(-1, frame, 1 << 20) == (b"<0><1><5><6>", 6)
    assert recent.after(1, frame, 1 << 20) == (b"<5><6>", 6)
    assert recent.after(3, frame, 1 << 20) == (b"<5><6>", 6)
    assert recent.after(6, frame, 1 << 20) == (b"", 6)
    assert recent.after(9, frame, 1 << 20) == (b"", 9)


def test_a_large_answer_comes_in_parts_without_leaving_any_out() -> None:
    recent, got, after = filled(list(range(10))), b"", -1
    while (found := recent.after(after, frame, 5)) and found[0]:
        got, after = got + found[0], found[1]
        assert len(found[0]) <= 6

    assert got == b"".join(b"<%d>" % offset for offset in range(10))


def test_what_has_left_is_not_given_as_if_it_had_never_been() -> None:
    recent = filled(list(range(100)), lines=20)

    assert len(recent) <= 20
    assert recent.last == 99
    assert recent.after(recent.floor - 1, frame, 1 << 20) is None
    first = recent.after(recent.floor, frame, 1)
    assert first == (b"<%d>" % (recent.floor + 1), recent.floor + 1)


def test_many_bytes_leave_as_many_lines_do_but_the_last_line_always_stays() -> None:
    assert len(filled(list(range(100)), size=40)) <= 10
    assert len(filled([1, 2, 3], size=1)) == 1


def test_a_line_is_written_once_for_all_clients() -> None:
    recent, written = filled([0, 1]), list[int]()

    def counted(entry: Entry) -> bytes:
        written.append(entry.offset)
        return frame(entry)

    for _ in range(3):
        recent.after(-1, counted, 1 << 20)

    assert written == [0, 1]
