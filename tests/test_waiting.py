"""Delayed images come out in time, in order, once, and only if they were not taken out."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.waiting import Delayed, WaitingRoom


def delayed(number: int, job: str = "j") -> Delayed:
    return Delayed(job, (number, number, b"x", 0), False)


async def drained(room: WaitingRoom) -> None:
    async with asyncio.timeout(10):
        while len(room):  # noqa: ASYNC110  # until a timer has rung
            await asyncio.sleep(0)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20))
def test_in_the_order_their_delays_end(plan: list[tuple[int, bool]]) -> None:
    """``plan``: milliseconds each waits, and whether it is taken out before."""

    async def main() -> None:
        out: list[Delayed] = []
        room = WaitingRoom(out.extend)
        room._loop.time = lambda: 0.0  # type: ignore[method-assign]  # all arrive at one moment
        for number, (wait_ms, _) in enumerate(plan):
            room.add([delayed(number)], wait_ms / 1000)
        del room._loop.time
        room.remove((number, number) for number, (_, gone) in enumerate(plan) if gone)
        await drained(room)
        kept = [(wait_ms, number) for number, (wait_ms, gone) in enumerate(plan) if not gone]
        assert [image.item[0] for image in out] == [number for _, number in sorted(kept)]

    asyncio.run(main())


def test_none_comes_before_its_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        out: list[float] = []
        room = WaitingRoom(lambda images: out.append(loop.time()))
        start = loop.time()
        room.add([delayed(1)], 0.02)
        room.add([delayed(2)], 0.01)
        await drained(room)
        assert [at - start >= due for at, due in zip(out, (0.01, 0.02), strict=True)] == [True, True]

    asyncio.run(main())


def test_taken_out_and_put_in_again_it_waits_anew() -> None:
    async def main() -> None:
        out: list[Delayed] = []
        room = WaitingRoom(out.extend)
        room.add([delayed(1)], 0.0)
        room.remove([(1, 1)])
        room.add([delayed(1)], 0.01)
        await drained(room)
        assert len(out) == 1

    asyncio.run(main())


def test_jobs_are_forgotten_and_all_can_be_cleared() -> None:
    async def main() -> None:
        room = WaitingRoom(lambda images: None)
        room.add([delayed(1), delayed(2), delayed(3, "k")], 600.0)
        room.forget("j")
        assert (3, 3) in room
        assert (1, 1) not in room
        assert room.clear() == {"k": [(3, 3)]}
        assert len(room) == 0
        assert room._timer is None

    asyncio.run(main())
