"""Who is given what, and how much ahead: pure, with processes played by the test."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imgpipe import limits
from imgpipe.pool.feeder import LONG_S, Feeder, room
from imgpipe.pool.images import Image, Work
from imgpipe.protocol import Job

JOB = Job("j", True, "", b"", "", b"", (), 60.0, ())


def work(service_s: float | None) -> Work:
    made = Work(JOB, b"")
    if service_s is not None:
        made.learn(service_s)
    return made


def image(of: Work, number: int, *, alone: bool = False) -> Image:
    return Image(of, (number, number, b"x", 0), (number, number), alone)


class Holder:
    """A process that only counts."""

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.takes = True

    @property
    def held(self) -> int:
        return len(self.images)

    @property
    def ahead_s(self) -> float:
        return sum(image.work.service_s for image in self.images)

    @property
    def alone(self) -> bool:
        return any(image.alone for image in self.images)

    def give(self, images: list[Image]) -> None:
        self.images += images


def fed(feeder: Feeder, holders: list[Holder]) -> list[int]:
    for holder in holders:
        feeder.changed(holder)
    feeder.feed()
    return [holder.held for holder in holders]


def test_an_image_not_measured_has_a_process_to_itself() -> None:
    feeder, holders = Feeder(2), [Holder(), Holder()]
    feeder.add(image(work(None), number) for number in range(9))
    assert fed(feeder, holders) == [1, 1]


def test_a_long_image_has_nothing_before_or_behind_it() -> None:
    long, short = work(2 * LONG_S), work(0.001)
    for first, second in ((long, short), (short, long)):
        feeder, holder = Feeder(1), Holder()
        feeder.add([image(first, 0), image(second, 1)])
        assert fed(feeder, [holder]) == [1]


@given(st.floats(1e-7, LONG_S, exclude_max=True))
def test_work_ahead_is_bounded_by_time_and_count(service_s: float) -> None:
    one = work(service_s)
    count = room(Holder(), [image(one, number) for number in range(1000)])
    assert 2 <= count <= limits.DEPTH_MAX
    assert count == 2 or count * service_s <= limits.DEPTH_S * 1.0001
    assert count == limits.DEPTH_MAX or (count + 1) * service_s > limits.DEPTH_S * 0.9999


def test_few_images_are_shared_out() -> None:
    feeder, holders = Feeder(4), [Holder() for _ in range(4)]
    feeder.add(image(work(1e-5), number) for number in range(8))
    assert fed(feeder, holders) == [2, 2, 2, 2]


def test_no_more_processes_than_slots_hold_images() -> None:
    feeder, holders = Feeder(4), [Holder() for _ in range(4)]
    feeder.slots = 2
    quick = work(1e-5)
    feeder.add(image(quick, number) for number in range(8))
    assert fed(feeder, holders) == [4, 4, 0, 0]
    feeder.add([image(quick, 8), image(quick, 9, alone=True)])
    assert fed(feeder, holders) == [4, 4, 0, 0]  # somebody has to become idle first, and not another
    holders[0].images.clear()
    assert sorted(fed(feeder, holders)) == [0, 0, 1, 5]
    assert [holder.held for holder in holders if holder.alone] == [1]


def test_fewer_slots_than_hold_images_already() -> None:
    """Nothing is taken from anybody, and nobody who has something gets more."""
    feeder, holders = Feeder(3), [Holder() for _ in range(3)]
    quick = work(1e-5)
    feeder.add(image(quick, number) for number in range(3))
    assert fed(feeder, holders) == [1, 1, 1]
    feeder.slots = 1
    feeder.add([image(quick, 3)])
    assert fed(feeder, holders) == [1, 1, 1]
    holders[0].images.clear()
    assert fed(feeder, holders) == [0, 1, 1]
    holders[1].images.clear()
    assert fed(feeder, holders) == [0, 0, 2]


def test_front_keeps_its_order() -> None:
    feeder, holder = Feeder(1), Holder()
    quick = work(1e-5)
    feeder.add(image(quick, number) for number in (3, 4))
    feeder.add((image(quick, number) for number in (1, 2)), front=True)
    fed(feeder, [holder])
    assert [image.token[0] for image in holder.images] == [1, 2, 3, 4]


class Machine(RuleBasedStateMachine):
    """Whatever happens: nothing is lost or given twice, alone is alone, and nobody idles beside work."""

    @initialize(count=st.integers(1, 4), slots=st.integers(1, 4))
    def start(self, count: int, slots: int) -> None:
        self.feeder = Feeder(slots)
        self.holders = [Holder() for _ in range(count)]
        self.works = [work(None), work(1e-5), work(0.01), work(1.0)]
        self.waiting: set[int] = set()
        self.number = 0
        fed(self.feeder, self.holders)

    @rule(kind=st.integers(0, 3), count=st.integers(1, 20), alone=st.booleans(), front=st.booleans())
    def add(self, kind: int, count: int, alone: bool, front: bool) -> None:
        numbers = range(self.number, self.number + count)
        self.feeder.add((image(self.works[kind], n, alone=alone) for n in numbers), front=front)
        self.waiting.update(numbers)
        self.number += count

    @rule(which=st.integers(0, 3), count=st.integers(1, 5))
    def answer(self, which: int, count: int) -> None:
        holder = self.holders[which % len(self.holders)]
        del holder.images[:count]
        self.feeder.changed(holder)

    @rule(which=st.integers(0, 3))
    def die(self, which: int) -> None:
        """Its images go back, and another takes its place."""
        holder = self.holders[which % len(self.holders)]
        holder.takes, images, holder.images = False, holder.images, []
        self.feeder.changed(holder)
        self.feeder.add(images, front=True)
        self.waiting.update(image.token[0] for image in images)
        self.holders[which % len(self.holders)] = Holder()
        self.feeder.changed(self.holders[which % len(self.holders)])

    @rule(modulus=st.integers(2, 5))
    def remove(self, modulus: int) -> None:
        gone = {i.token[0] for i in self.feeder.remove(lambda image: image.token[0] % modulus == 0)}
        assert gone == {number for number in self.waiting if number % modulus == 0}
        self.waiting -= gone

    @rule()
    def feed(self) -> None:
        before = {id(i) for holder in self.holders for i in holder.images}
        self.feeder.feed()
        for given_now in (i for holder in self.holders for i in holder.images if id(i) not in before):
            self.waiting.remove(given_now.token[0])
        holding = sum(bool(holder.held) for holder in self.holders)
        assert holding <= self.feeder.slots
        assert not len(self.feeder) or holding == min(len(self.holders), self.feeder.slots)

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "feeder"):
            return
        assert len(self.feeder) == len(self.waiting)
        for holder in self.holders:
            assert not holder.alone or holder.held == 1
            assert holder.held <= limits.DEPTH_MAX
            slow: list[Any] = [i for i in holder.images if i.work.service_s >= LONG_S]
            assert not slow or holder.held == 1


TestMachine = Machine.TestCase
