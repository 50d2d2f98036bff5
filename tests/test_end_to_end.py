"""Fleets of real processes, and evil images, full disks, folders that go away."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import UsageError
from imgpipe.facts import ImageDone, ImageFailed, Listed
from tests.disks import remount
from tests.pictures import Site, check, of
from tests.pools import Gate
from tests.processes import Fleet, Process, children, fleet, run

pytestmark = pytest.mark.usefixtures("operations_of_tests")

#: A worker that is set aside is asked again soon.
SOON = {"ASIDE_MIN_S": 0.2, "ASIDE_MAX_S": 0.2}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers with one slot each, for all tests that leave them as they were. Their gates are open."""
    root = tmp_path_factory.getbasetemp()
    with fleet(root, 2, limits=SOON) as nodes:
        nodes.open_gates()
        yield nodes


# --- images that take their process down --------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind", "words"),
    [
        ("segfault:width=7", "crashed", "SIGSEGV"),
        ("abort:width=7", "crashed", "SIGABRT"),
        ("exit:width=7", "crashed", "code 3"),
        ("hang:width=7", "timeout", "0.4 s"),
    ],
)
def test_one_evil_image_fails_alone(
    two: Fleet, tmp_path: Path, operation: str, kind: str, words: str
) -> None:
    site = Site(tmp_path, 20)
    site.add("evil.png", 7)

    async def main(submit: Any) -> None:
        job = await submit(site, [operation, "edges"], timeout_s=0.4, retries=1)
        ended = check(await job.end(), site, {b"evil.png": kind})
        (failed,) = of(job.told, ImageFailed)
        assert words in failed.message
        assert (failed.tries, failed.attempts, ended.retries) == (2, 2, 1)
        assert {fact.tries for fact in of(job.told, ImageDone)} == {1}

    run(two, main)


def test_every_image_evil_and_no_try_left(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 6)

    async def main(submit: Any) -> None:
        job = await submit(site, ["segfault"], retries=0)
        check(await job.end(), site, dict.fromkeys(site.names, "crashed"))
        assert {(fact.tries, fact.attempts) for fact in of(job.told, ImageFailed)} == {(1, 1)}

    run(two, main)


def test_memory_that_is_not_there_fails_the_image_and_not_its_process(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 3)
    pools = [children(worker.pid) for worker in two.workers]

    async def main(submit: Any) -> None:
        job = await submit(site, ["grow:mb=100000"])
        check(await job.end(), site, dict.fromkeys(site.names, "too_large"))
        assert {fact.tries for fact in of(job.told, ImageFailed)} == {2}
        assert [children(worker.pid) for worker in two.workers] == pools

    run(two, main)


def test_a_process_that_has_grown_is_replaced_and_its_image_kept(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 140)

    async def main(submit: Any) -> None:
        (before,) = children(worker.pid)
        job = await submit(site, ["grow:mb=1", "edges"])
        check(await job.end(), site)
        assert children(worker.pid) != {before}

    with fleet(tmp_path, 1, limits={"RECYCLE_GROWTH": 40 << 20}) as nodes:
        worker = nodes.workers[0]
        run(nodes, main)


# --- pictures and folders that are not what they seemed -----------------------------------------


def test_bad_files_fail_with_their_kind_and_all_others_are_done(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 12)
    photograph = (Path(__file__).parent.parent / "data" / "input" / "coffee.jpg").read_bytes()
    (site.source / "text.png").write_text("this is no picture\n")
    (site.source / "zero.jpg").touch()
    (site.source / "torn.jpg").write_bytes(photograph[: len(photograph) // 2])
    site.add("deeper/good.PNG")
    odd = b"caf\xe9\xff.png"
    shutil.copy(os.fsencode(site.source / "0.png"), os.path.join(bytes(site.source), odd))
    failed = {b"text.png": "unreadable", b"zero.jpg": "unreadable", b"torn.jpg": "truncated"}

    async def main(submit: Any) -> None:
        job = await submit(site)
        told = await job.end()
        zero = next(fact.kind for fact in of(told, ImageFailed) if fact.name == b"zero.jpg")
        check(told, site, {**failed, b"zero.jpg": zero})
        assert zero in ("unreadable", "truncated")
        assert odd in {fact.name for fact in of(told, ImageDone)}
        assert all(fact.message for fact in of(told, ImageFailed))

    run(two, main)


def test_notes_reach_whoever_follows_and_are_summed_up(two: Fleet, tmp_path: Path) -> None:
    """From the processes that left them to the client; an image that crashed has none."""
    site = Site(tmp_path, 20)
    site.add("evil.png", 7)

    async def main(submit: Any) -> None:
        job = await submit(site, ["noted:kind=alpha", "noted:kind=warning", "segfault:width=7", "edges"])
        ended = check(await job.end(), site, {b"evil.png": "crashed"})
        assert ended.notes == (("alpha", 20), ("warning", 20))
        for fact in of(job.told, ImageDone):
            first = site.first_pixel(fact.name)
            assert fact.notes == (("alpha", f"of {first}"), ("warning", f"of {first}"))
        assert [fact.notes for fact in of(job.told, ImageFailed)] == [()]

    run(two, main)


def test_an_empty_folder_is_done_at_once(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def main(submit: Any) -> None:
        assert check(await (await submit(site)).end(), site).total == 0

    run(two, main)


def test_images_that_go_away_in_mid_job_are_missing(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 30)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await job.until(lambda told: of(told, Listed))
        await gate.begun()  # it has been read; all others but those at the other end of it have not
        names = site.names
        gone = {f"{number}.png".encode() for number in range(10)}
        for name in gone:
            (site.source / name.decode()).unlink()
        gate.open()
        told = await job.end()
        held = {fact.name for fact in of(told, ImageDone)} & gone
        assert len(held) <= 1
        for name in held:  # for the comparison
            shutil.copy(site.output / name.decode(), site.source / name.decode())
        check(told, site, dict.fromkeys(gone - held, "missing"), names=names, reference=lambda was: was)

    async def main_identity(submit: Any) -> None:
        await main(lambda site, operations: submit(site, ["gate", "identity"]))

    with fleet(tmp_path, 1) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main_identity)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_goes_away_takes_no_image_with_it(tmp_path: Path, replaced: bool) -> None:
    """The worker says it does not see it, is set aside with the reason, and goes on once it is back."""
    site = Site(tmp_path / "site", 30)
    elsewhere = tmp_path / "elsewhere"

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await job.until(lambda told: of(told, Listed))
        await gate.begun()
        shutil.copytree(site.source, elsewhere)
        shutil.rmtree(site.source)
        if replaced:
            site.source.mkdir()
        gate.open()
        aside = await job.changed("node1", "aside")
        assert str(site.source) in aside.reason
        status = await submit.client.status()
        assert [row[2] for row in status.workers] == ["aside"]
        assert "no worker can do it yet" in status.jobs[0][-1]
        if replaced:
            site.source.rmdir()
        elsewhere.rename(site.source)
        check(await job.end(), site)

    with fleet(tmp_path, 1, limits=SOON) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)


def test_a_full_disk_holds_the_job_until_there_is_room(two: Fleet, tmp_path: Path, small_disk: Path) -> None:
    site = Site(tmp_path / "site", 40, output=small_disk / "out")

    async def main(submit: Any) -> None:
        job = await submit(site)
        for node in ("node1", "node2"):
            assert "o space left" in (await job.changed(node, "aside")).reason
        assert len(of(job.told, ImageDone)) < 40
        remount(small_disk, "size=16m")
        check(await job.end(), site)

    run(two, main)


def test_a_disk_that_turns_read_only_holds_the_job(tmp_path: Path, small_disk: Path) -> None:
    remount(small_disk, "size=16m")
    site = Site(tmp_path / "site", 10, output=small_disk / "out")

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await gate.begun()
        remount(small_disk, "ro")
        gate.open()
        assert "ead-only" in (await job.changed("node1", "aside")).reason
        remount(small_disk, "rw")
        check(await job.end(), site)

    with fleet(tmp_path, 1, limits=SOON) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)


def test_a_read_only_output_is_declined(two: Fleet, tmp_path: Path, small_disk: Path) -> None:
    site = Site(tmp_path / "site", 3, output=small_disk / "out")
    remount(small_disk, "ro")

    async def main(submit: Any) -> None:
        with pytest.raises(UsageError, match=r"cannot write to the output .*ead-only"):
            await submit(site)

    run(two, main)


def test_permissions(tmp_path: Path) -> None:
    """A folder and an output that may not be touched end the command; an image that may not, fails."""
    site = Site(tmp_path / "site", 4)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)

    def ran(*words: Any) -> tuple[int, str, str]:
        process = Process("run", *words, "-j", "1", cwd=tmp_path, humble=True)
        try:
            return *process.ended(), process.log
        finally:
            process.kill()

    code, _, err = ran(locked)
    assert (code, "ermission denied" in err, str(locked) in err) == (2, True, True)
    code, _, err = ran(tmp_path / "nowhere")
    assert (code, "o such file" in err) == (2, True)
    code, _, err = ran(site.source, "-o", locked / "out")
    assert (code, "ermission denied" in err) == (2, True)
    (site.source / "1.png").chmod(0o000)
    code, out, _ = ran(site.source, "-o", site.output)
    assert code == 3
    assert "ermission denied" in out
    assert out.splitlines()[-1].startswith("Time elapsed: ")
    assert site.outputs() == {b"0.png", b"2.png", b"3.png"}
