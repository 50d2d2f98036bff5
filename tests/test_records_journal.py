"""The journal, held against a plain list of everything that was ever added."""

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.facts import FACTS, Found
from imgpipe.records.journal import Journal


@given(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=30), st.data())
def test_it_keeps_the_end_and_numbers_never_move(kept: int, sizes: list[int], data: st.DataObject) -> None:
    journal = Journal(kept)
    everything: list[Found] = []
    for size in sizes:
        more = [Found(len(everything) + n, 0) for n in range(size)]
        everything += more
        journal.add(more)
        assert journal.end == len(everything)
        assert journal.end - journal.first == min(kept, len(everything))
        number, most = data.draw(st.integers(0, len(everything))), data.draw(st.integers(1, 40))
        first, rows = journal.since(number, most)
        assert first == max(number, journal.first)
        assert [FACTS.record(row) for row in rows] == everything[first : first + most]


def test_what_is_held_is_bounded() -> None:
    journal = Journal(100)
    for n in range(10_000):
        journal.add([Found(n, 0)])
        assert len(journal._rows) < 200
