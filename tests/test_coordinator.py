"""The coordinator with scripted workers and clients on real streams: every path through it."""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from imgpipe import facts, limits, protocol
from imgpipe.coordinator import Coordinator
from imgpipe.imaging.recipe import Recipe
from imgpipe.machines import Machine
from imgpipe.protocol import (
    Accepted,
    Cancel,
    CancelJob,
    Declined,
    Done,
    Execute,
    Follow,
    Job,
    Rejected,
    Status,
)
from imgpipe.storage import Roots
from tests.wires import ScriptedClient, ScriptedWorker, all_done, request

Main = Callable[[Coordinator, ScriptedClient], Coroutine[Any, Any, None]]


@asynccontextmanager
async def running(root: Path, *workers: ScriptedWorker) -> AsyncIterator[tuple[Coordinator, ScriptedClient]]:
    coordinator = Coordinator(roots=Roots({".": bytes(root)}), seed=1)
    for worker in workers:
        await coordinator.adopt(worker.name, worker.door)
    client = await ScriptedClient().join(coordinator)
    try:
        yield coordinator, client
    finally:
        await coordinator.stop()
        streams = [stream for stream in (client.stream, *(worker.stream for worker in workers)) if stream]
        await asyncio.gather(*(stream.ended for stream in streams))


def run(root: Path, main: Main, *names: str, make: Callable[[str], ScriptedWorker] = ScriptedWorker) -> None:
    async def whole() -> None:
        async with running(root, *(make(name) for name in names)) as (coordinator, client):
            await main(coordinator, client)

    asyncio.run(whole())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve files that are images by their names, in a tree."""
    source = tmp_path / "photos"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(12):
        folder = (source, source / "deep", source / "deep" / "er")[number % 3]
        (folder / f"{number}.png").write_bytes(b"not looked at")
    (source / "notes.txt").write_text("ignored")
    return source


def of(told: list[facts.Fact], kind: type) -> list[Any]:
    return [fact for fact in told if type(fact) is kind]


def test_a_folder_goes_out_and_comes_back(tmp_path: Path, pictures: Path) -> None:
    names = {os.fsencode(path.relative_to(pictures)) for path in pictures.rglob("*.png")}

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        accepted = await client.hear(Accepted)
        assert accepted.source == bytes(pictures)
        assert accepted.output == bytes(tmp_path / "output_dir")
        told = await client.finished()
        done = of(told, facts.ImageDone)
        assert {fact.name for fact in done} == names
        assert all((fact.attempts, fact.tries, fact.times) == (1, 1, (1, 1, 1, 1, 1)) for fact in done)
        assert type(told[0]) is facts.Opened
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert (ended.state, ended.total, ended.done, ended.failed, ended.remaining) == ("done", 12, 12, 0, 0)
        assert ended.ignored == 1
        assert sum(row[1] for row in ended.workers) == 12
        assert list((tmp_path / "output_dir").iterdir()) == []  # the nonce is gone

    run(tmp_path, main, "w1", "w2")


def test_the_nonce_stands_in_the_output_while_the_job_lives(tmp_path: Path, pictures: Path) -> None:
    seen: list[Any] = []

    def look(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        seen.append((tmp_path / "output_dir" / f".imgpipe-{job}").exists())
        return all_done(worker, job, items)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        await client.finished()
        assert seen
        assert all(seen)

    run(tmp_path, main, "w", make=lambda name: ScriptedWorker(name, answer=look))


def test_a_job_is_asked_for_before_its_first_image_with_samples(tmp_path: Path, pictures: Path) -> None:
    worker = ScriptedWorker("w")

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures), timeout_s=7.0))
        await client.finished()
        await worker.until(lambda: worker.of(protocol.Forget))
        kinds = [type(message) for message in worker.heard]
        assert kinds.index(Job) < kinds.index(Execute) < kinds.index(protocol.Forget)
        (job,) = worker.of(Job)
        assert (job.source, job.output, job.timeout_s, len(job.samples)) == (b"photos", b"output_dir", 7.0, 3)
        assert {size for _, size in job.samples} == {13}

    run(tmp_path, main, "w", make=lambda name: worker)


def test_empty_tasks_need_no_folder(tmp_path: Path) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=20_000))
        told = await client.finished()
        assert len(of(told, facts.ImageDone)) == 20_000
        assert len({fact.name for fact in of(told, facts.ImageDone)}) == 20_000

    run(tmp_path, main, "w1", "w2")


def test_refused_images_go_elsewhere(tmp_path: Path) -> None:
    def refuse(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        return [Rejected(job, tuple(item[:2] for item in items))]

    sure = {"w1": refuse, "w2": all_done}

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=50))
        told = await client.finished()
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert ended.done == 50
        assert ended.rejections >= 1
        assert sum(fact.rejections for fact in of(told, facts.Tally)) == ended.rejections
        assert {fact.worker for fact in of(told, facts.ImageDone)} == {"w2"}

    run(tmp_path, main, "w1", "w2", make=lambda name: ScriptedWorker(name, answer=sure[name]))


def test_a_worker_that_is_lost_loses_nothing(tmp_path: Path) -> None:
    def vanish(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        assert worker.stream is not None
        worker.stream.abort("pulled the plug")
        return []

    answers = {"w1": vanish, "w2": all_done}

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=100))
        told = await client.finished()
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert (ended.done, ended.failed) == (100, 0)
        assert sum(fact.lost for fact in of(told, facts.Tally)) >= 1
        assert "gone" in {fact.state for fact in of(told, facts.WorkerChanged) if fact.worker == "w1"}

    run(tmp_path, main, "w1", "w2", make=lambda name: ScriptedWorker(name, answer=answers[name]))


def test_a_worker_that_does_not_see_the_folders_gets_none(tmp_path: Path, pictures: Path) -> None:
    def make(name: str) -> ScriptedWorker:
        worker = ScriptedWorker(name)
        if name == "blind":
            worker.ready = lambda job: (False, "photos is not there: mount it")
        return worker

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        told = await client.finished()
        assert {fact.worker for fact in of(told, facts.ImageDone)} == {"sees"}
        asides = [fact.reason for fact in of(told, facts.WorkerChanged) if fact.state == "aside"]
        assert asides == ["photos is not there: mount it"]

    run(tmp_path, main, "blind", "sees", make=make)


def test_a_folder_that_appears_later_is_seen_later(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ASIDE_MIN_S", 0.01)
    answers = [(False, "not mounted"), (False, "not mounted"), (True, "")]
    worker = ScriptedWorker("w")
    worker.ready = lambda job: answers.pop(0)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        assert len(of(await client.finished(), facts.ImageDone)) == 12
        assert answers == []

    run(tmp_path, main, "w", make=lambda name: worker)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": b"/nowhere/at/all"}, "--root"),
        ({"source": b"{tmp}/missing"}, "no such file or directory"),
        ({"source": b"{tmp}/photos/0.png"}, "[Nn]ot a directory"),
        ({"output": b"{tmp}/photos"}, "SOURCE itself"),
        ({"output": b"/elsewhere"}, "--root"),
        ({"mode": "blanced"}, "did you mean 'balanced'"),
        ({"existing": "perhaps"}, "skip, redo or error"),
    ],
)
def test_what_cannot_be_done_is_declined_with_the_remedy(
    tmp_path: Path, pictures: Path, changes: dict[str, Any], words: str
) -> None:
    filled = {
        name: value.replace(b"{tmp}", bytes(tmp_path)) if isinstance(value, bytes) else value
        for name, value in changes.items()
    }

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(**{"source": bytes(pictures), **filled}))
        declined = await client.hear(Declined)
        assert declined.code == 2
        assert re.search(words, declined.why)

    run(tmp_path, main)


def test_an_output_has_one_writer(tmp_path: Path, pictures: Path) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        first = await client.hear(Accepted)
        client.say(request(bytes(pictures), output=bytes(tmp_path / "output_dir" / "inner")))
        declined = await client.hear(Declined)
        assert (declined.code, first.job in declined.why) == (4, True)
        client.say(request(bytes(pictures), output=bytes(tmp_path / "other")))
        await client.hear(Accepted)

    run(tmp_path, main)  # no worker: both stay


def test_no_worker_waits_says_so_and_ends_once_one_comes(tmp_path: Path, pictures: Path) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        await client.hear(Accepted)
        client.say(protocol.StatusRequest())
        status = await client.hear(Status)
        assert status.jobs[0][-1] in ("no worker can do it yet", "waiting for its first names")
        worker = ScriptedWorker("late")
        await coordinator.adopt("late", worker.door)
        assert len(of(await client.finished(), facts.ImageDone)) == 12

    run(tmp_path, main)


def test_a_machine_that_is_down_is_named_with_its_reason(tmp_path: Path) -> None:
    async def whole() -> None:
        coordinator = Coordinator(
            roots=Roots({".": bytes(tmp_path)}), machines=(Machine("node1", "127.0.0.1", 1),), seed=1
        )
        await coordinator.start()
        client = await ScriptedClient().join(coordinator)
        client.say(request(count=3))
        for _ in range(1000):
            client.say(protocol.StatusRequest())
            status = await client.hear(Status)
            if "refused" in status.workers[0][-1]:
                break
        assert status.workers[0][:3] == ("node1", "127.0.0.1:1", "gone")
        assert "connection refused" in status.workers[0][-1]
        await coordinator.stop()

    asyncio.run(whole())


def test_following_from_anywhere_gives_the_same_facts(tmp_path: Path) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=500))
        accepted = await client.hear(Accepted)
        told = await client.finished()
        for first in (0, 17, len(told), len(told) + 99):
            other = await ScriptedClient().join(coordinator)
            other.say(Follow(accepted.job[:4], first))
            await other.hear(Accepted)
            await other.hear(protocol.Finished)
            rows = [row for message in other.heard for row in message.facts]
            assert [facts.FACTS.record(row) for row in rows] == told[first:]
            assert other.stream is not None
            other.stream.close("enough")

    run(tmp_path, main, "w")


def test_a_client_that_leaves_does_not_stop_its_job(tmp_path: Path) -> None:
    held: list[Any] = []

    def hold(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        held.extend((job, item) for item in items)
        return []

    worker = ScriptedWorker("w", answer=hold)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=30))
        accepted = await client.hear(Accepted)
        await worker.until(lambda: held)
        assert client.stream is not None
        client.stream.abort("lost")
        worker.answer = all_done
        for job, item in held:
            assert worker.stream is not None
            worker.stream.send(all_done(worker, job, (item,))[0])
        other = await ScriptedClient().join(coordinator)
        other.say(Follow(accepted.job, 0))
        assert len(of(await other.finished(), facts.ImageDone)) == 30

    run(tmp_path, main, "w", make=lambda name: worker)


@pytest.mark.parametrize("drain", [True, False])
def test_a_stopped_job_hands_out_no_more(tmp_path: Path, drain: bool) -> None:
    given: list[Any] = []

    def hold(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        given.extend(items)
        return []

    worker = ScriptedWorker("w", slots=1, answer=hold)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=100))
        job = (await client.hear(Accepted)).job
        await worker.until(lambda: given)
        client.say(CancelJob(job, drain))
        if drain:
            client.say(protocol.StatusRequest())
            await client.hear(Status)
            assert worker.stream is not None
            worker.stream.send(Done(job, tuple((i[0], i[1], 1, 1, 1, 1, 1) for i in given)))
        told = await client.finished()
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert ended.state == "cancelled"
        assert ended.done == (len(given) if drain else 0)
        assert ended.done + ended.remaining == ended.total
        if not drain:
            await worker.until(lambda: worker.of(Cancel))
            assert {t for m in worker.of(Cancel) for t in m.tokens} == {i[:2] for i in given}

    run(tmp_path, main, "w", make=lambda name: worker)


def test_a_dry_run_touches_nothing(tmp_path: Path, pictures: Path) -> None:
    (pictures / "0.jpg").write_bytes(b"")
    recipe = Recipe.from_options(["identity"], "webp")

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures), dry_run=True, recipe=recipe.array(), list_ignored=True))
        told = await client.finished()
        planned = of(told, facts.Planned)
        assert len(planned) == 13
        assert all(fact.target.endswith(b".webp") for fact in planned)
        assert [fact.problem != "" for fact in planned].count(True) == 1
        assert [(fact.name, fact.why) for fact in of(told, facts.Ignored)] == [(b"notes.txt", "other suffix")]
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert (ended.state, ended.total, ended.failed) == ("done", 13, 1)
        assert not (tmp_path / "output_dir").exists()

    run(tmp_path, main)


def test_collisions_fail_before_anything_is_overwritten(tmp_path: Path, pictures: Path) -> None:
    (pictures / "0.jpg").write_bytes(b"")
    recipe = Recipe.from_options(["identity"], "png")

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures), recipe=recipe.array()))
        told = await client.finished()
        (failed,) = of(told, facts.ImageFailed)
        done = {fact.name for fact in of(told, facts.ImageDone)}
        assert (failed.kind, failed.worker, failed.attempts) == ("collision", "", 0)
        first = ({b"0.jpg", b"0.png"} - {failed.name}).pop()
        assert first.decode() in failed.message
        assert first in done
        assert failed.name not in done

    run(tmp_path, main, "w")


def test_an_empty_folder_is_done_at_once(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(tmp_path / "none")))
        ended = (await client.finished())[-1]
        assert isinstance(ended, facts.Ended)
        assert (ended.state, ended.total) == ("done", 0)

    run(tmp_path, main)


def test_a_large_listing_is_taken_in_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WINDOW", 600)
    source = tmp_path / "many"
    source.mkdir()
    for number in range(3000):
        (source / f"{number}.png").touch()
    held: list[Any] = []
    largest: list[int] = []
    worker = ScriptedWorker("w", slots=4)

    def first_holds(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        held.append((job, items))
        return []

    worker.answer = first_holds

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(source)))
        await client.hear(Accepted)
        await worker.until(lambda: held)
        (record,) = coordinator._scheduler.jobs.values()
        for _ in range(200):
            client.say(protocol.StatusRequest())
            await client.hear(Status)
            largest.append(len(record.queue))
        assert max(largest) <= 600
        assert not record.listed  # it waits for room, and the first images are out
        worker.answer = all_done
        for job, items in held:
            assert worker.stream is not None
            worker.stream.send(all_done(worker, job, items)[0])
        assert len(of(await client.finished(), facts.ImageDone)) == 3000

    run(tmp_path, main, "w", make=lambda name: worker)


def test_a_small_job_gets_its_share_at_once(tmp_path: Path) -> None:
    order: list[str] = []

    def note(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        order.extend(job for _ in items)
        return all_done(worker, job, items)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=10_000))
        await client.hear(Accepted)
        other = await ScriptedClient().join(coordinator)
        other.say(request(count=12))
        small = (await other.hear(Accepted)).job
        await other.finished()
        await client.finished()
        places = [place for place, job in enumerate(order) if job == small]
        assert len(places) == 12
        stretch = places[-1] - places[0] + 1
        assert 12 / stretch >= 0.4

    run(tmp_path, main, "w1", make=lambda name: ScriptedWorker(name, answer=note))


def test_status_of_a_large_fleet_comes_in_parts(tmp_path: Path) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        for number in range(60):
            coordinator._scheduler.known(f"node{number}", "somewhere", time.monotonic())
        client.say(protocol.StatusRequest())
        parts = [await client.hear(Status)]
        while parts[-1].more:
            parts.append(await client.hear(Status))
        assert len(parts) == 3
        assert len({row[0] for part in parts for row in part.workers}) == 60

    run(tmp_path, main)


@pytest.mark.parametrize("message", [protocol.Forget("j"), Done("j", ((0, 1, 1, 1, 1, 1, 1),))])
def test_a_client_that_speaks_out_of_its_role_is_cut_off(
    tmp_path: Path, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(message)
        await client.until(lambda: client.ends)
        assert "a client does not send" in caplog.text

    run(tmp_path, main)


def test_a_worker_that_speaks_out_of_its_role_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def confused(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        return [protocol.StatusRequest()]

    answers = {"w1": confused, "w2": all_done}

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=40))
        assert len(of(await client.finished(), facts.ImageDone)) == 40
        assert "a worker does not send StatusRequest" in caplog.text

    run(tmp_path, main, "w1", "w2", make=lambda name: ScriptedWorker(name, answer=answers[name]))


def test_draining_ends_jobs_and_takes_no_more(tmp_path: Path) -> None:
    worker = ScriptedWorker("w", answer=lambda worker, job, items: [])

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=1000))
        await client.hear(Accepted)
        await worker.until(lambda: worker.of(Execute))
        draining = asyncio.create_task(coordinator.drain())
        await client.until(lambda: coordinator.jobs.closed or not draining.done())
        client.say(request(count=1))
        declined = await client.hear(Declined)
        assert (declined.code, "leaving" in declined.why) == (4, True)
        for message in worker.of(Execute):
            assert worker.stream is not None
            worker.stream.send(all_done(worker, message.job, message.items)[0])
        told = await client.finished()
        await draining
        kinds = Counter(type(fact) for fact in told)
        ended = told[-1]
        assert isinstance(ended, facts.Ended)
        assert ended.done == kinds[facts.ImageDone] == sum(len(m.items) for m in worker.of(Execute))

    run(tmp_path, main, "w", make=lambda name: worker)


@pytest.mark.parametrize(
    ("granted", "used", "told_so"), [(3, 3, [protocol.Slots(3)]), (8, 8, []), (20, 8, [])]
)
def test_slots_of_the_machines_file_only_lower(
    tmp_path: Path, granted: int, used: int, told_so: list[Any]
) -> None:
    async def whole() -> None:
        worker = ScriptedWorker("node1", slots=8)
        server = await worker.door.listen("127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        machine = Machine("node1", "127.0.0.1", port, granted)
        coordinator = Coordinator(roots=Roots({".": bytes(tmp_path)}), machines=(machine,), seed=1)
        await coordinator.start()
        await worker.until(lambda: worker.stream)
        client = await ScriptedClient().join(coordinator)
        client.say(request(count=10))
        told = await client.finished()
        assert {fact.slots for fact in of(told, facts.WorkerChanged) if fact.state == "live"} == {used}
        assert worker.of(protocol.Slots) == told_so
        await coordinator.stop()
        server.close()

    asyncio.run(whole())


def test_stopping_now_cancels_and_cleans_up(tmp_path: Path, pictures: Path) -> None:
    async def whole() -> None:
        worker = ScriptedWorker("w", answer=lambda worker, job, items: [])
        async with running(tmp_path, worker) as (_, client):
            client.say(request(bytes(pictures)))
            job = (await client.hear(Accepted)).job
            await worker.until(lambda: worker.of(Execute))
            (item, *_) = worker.of(Execute)[0].items
            left = (
                tmp_path / "output_dir" / Path(os.fsdecode(item[2])).parent / f".imgpipe-{job}-{item[1]}.tmp"
            )
            left.parent.mkdir(parents=True, exist_ok=True)
            left.touch()
        assert [path for path in (tmp_path / "output_dir").rglob("*") if path.is_file()] == []
        ended = (await client.finished())[-1]
        assert isinstance(ended, facts.Ended)
        assert ended.state == "cancelled"

    asyncio.run(whole())


def test_a_follower_that_reads_late_still_hears_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FINISHED_JOBS_MAX", 1)

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        late = await ScriptedClient().join(coordinator)
        assert late.stream is not None
        late.stream.pause_reading()
        late.say(request(count=30_000))
        while not any(job.followed.finished for job in coordinator.jobs):
            client.say(request(count=1))
            await client.finished()
            client.heard.clear()
        for _ in range(3):
            client.say(request(count=1))
            await client.finished()
            client.heard.clear()
        late.stream.resume_reading()
        assert len(of(await late.finished(), facts.ImageDone)) == 30_000

    run(tmp_path, main, "w")


def test_what_is_to_be_cleaned_up_does_not_pile_up(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WRITTEN_OFF_MAX", 3)
    most: list[int] = []

    def crash(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        for item in items:
            folder = tmp_path / "output_dir" / Path(os.fsdecode(item[2])).parent
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".imgpipe-{job}-{item[1]}.tmp").touch()
        return [protocol.Failed(job, tuple((item[0], item[1], "crashed", "x", True) for item in items))]

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures), retries=3))
        await client.hear(Accepted)
        (job,) = coordinator.jobs
        while not job.followed.finished:
            client.say(protocol.StatusRequest())
            await client.hear(Status)
            assert job.record is not None
            most.append(len(job.record.written_off))
        assert len(of(await client.finished(), facts.ImageFailed)) == 12
        assert max(most) <= 3 + 12
        assert [path for path in (tmp_path / "output_dir").rglob("*") if path.is_file()] == []

    run(tmp_path, main, "w", make=lambda name: ScriptedWorker(name, answer=crash))


def test_a_request_that_would_not_fit_into_a_message_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        rude = await ScriptedClient().join(coordinator)
        client.say(request(count=5000))
        steps = tuple(("x", 1, (("p", "y" * 100_000),)) for _ in range(5))
        rude.say(request(count=1, recipe=(1, steps, None, 90)))
        await rude.until(lambda: rude.ends)
        assert len(of(await client.finished(), facts.ImageDone)) == 5000

    run(tmp_path, main, "w")


def test_a_job_that_cannot_be_sent_is_cancelled_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No input is known to do this: the guard is for the one nobody thought of."""

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        real = protocol.encode

        def fails(message: Any) -> bytes:
            if isinstance(message, Job) and message.timeout_s == 13.0:
                raise ValueError("too long")
            return real(message)

        monkeypatch.setattr("imgpipe.coordinator.encode", fails)
        other = await ScriptedClient().join(coordinator)
        client.say(request(count=3000))
        other.say(request(count=5, timeout_s=13.0))
        ended = (await other.finished())[-1]
        assert isinstance(ended, facts.Ended)
        assert ended.state == "cancelled"
        assert len(of(await client.finished(), facts.ImageDone)) == 3000
        assert "cannot be sent and is cancelled" in caplog.text

    run(tmp_path, main, "w")


def test_times_that_cannot_be_are_a_protocol_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def absurd(worker: ScriptedWorker, job: str, items: Any) -> list[Any]:
        return [Done(job, tuple((item[0], item[1], *[2**63 - 1] * 5) for item in items))]

    answers = {"w1": absurd, "w2": all_done}

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(count=40))
        assert len(of(await client.finished(), facts.ImageDone)) == 40
        assert "Done.rows" in caplog.text

    run(tmp_path, main, "w1", "w2", make=lambda name: ScriptedWorker(name, answer=answers[name]))


def test_a_job_whose_images_changed_before_any_worker_came_is_still_seen(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ASIDE_MIN_S", 0.02)
    asked: list[Job] = []
    files = list(pictures.rglob("*.png"))
    worker = ScriptedWorker("late")

    def looks(job: Job) -> tuple[bool, str]:
        asked.append(job)
        there = all((pictures / os.fsdecode(name)).stat().st_size == size for name, size in job.samples)
        return there, "" if there else "does not hold the images of this job"

    worker.ready = looks

    async def main(coordinator: Coordinator, client: ScriptedClient) -> None:
        client.say(request(bytes(pictures)))
        await client.hear(Accepted)
        while not any(job.record and job.record.listed for job in coordinator.jobs):
            client.say(protocol.StatusRequest())
            await client.hear(Status)
        for file in files:
            file.write_bytes(b"saved again, longer than before")
        await coordinator.adopt("late", worker.door)
        assert len(of(await client.finished(), facts.ImageDone)) == 12
        assert len(asked) >= 2

    run(tmp_path, main)
