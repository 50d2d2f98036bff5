"""Submits a job and follows it to its end, for programs. `blocking` has the same names without async.

Every `Conversation` has a stream of its own: a job from its request to `Finished`, a question about the
fleet. So answers need no numbers to tell them apart, and a job whose facts are read slowly holds back no
other.

A job does not depend on who follows it. When its stream breaks it goes on; the `Job` dials again and follows
from the first fact it has not had. Facts that nobody kept meanwhile are counted in `Job.missed`; the last
fact, `Ended`, repeats the sums, so a `Report` of them is right all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from imgpipe import limits
from imgpipe.connection import dial_words
from imgpipe.conversation import NOBODY, Conversation, Dial, LostError, converse, inside, over_tcp
from imgpipe.errors import ExitCode, UnfinishedError, UsageError
from imgpipe.facts import FACTS, Fact
from imgpipe.machines import COORDINATOR_PORT, Address, parse_address
from imgpipe.protocol import (
    Accepted,
    CancelJob,
    Declined,
    Facts,
    Finished,
    Follow,
    Status,
    StatusRequest,
    SubmitRequest,
)
from imgpipe.records.report import Report

log = logging.getLogger(__name__)


class Job:
    """A job on a coordinator, followed fact by fact.

    Attributes
    ----------
    id : str
    source, output : bytes
        The folders the coordinator understood, absolute.
    missed : int
        Facts that were told while nobody of us listened, and were kept by nobody.
    elapsed_s : float or None
        Seconds from the request sent to `Finished` received; the coordinator's own measure for a
        job that another client submitted. None until it has finished.
    """

    def __init__(
        self, client: Client, link: Conversation, accepted: Accepted, first: int, sent_at: float | None
    ):
        self.id = accepted.job
        self.source, self.output = accepted.source, accepted.output
        self.missed = 0
        self.elapsed_s: float | None = None
        self._client = client
        self._link = link
        self._next = first
        self._sent_at = sent_at
        self._drain: bool | None = None  # how it is to be cancelled, if it is

    async def batches(self) -> AsyncIterator[list[Fact]]:
        """Facts in order, as many at once as came at once, to the end of the job. May be left and resumed.

        Raises
        ------
        UnfinishedError
            The connection was lost and not back within `limits.RECONNECT_S`, or the job is forgotten there.
        """
        while self.elapsed_s is None:
            try:
                message = await self._link.receive()
            except LostError as lost:
                await self._follow_again(str(lost))
                continue
            if isinstance(message, Facts):
                facts = self._taken(message)
                if facts:
                    yield facts
            else:
                await self._answered(message)

    async def facts(self) -> AsyncIterator[Fact]:
        """`batches`, one fact at a time. Leave it only between batches if you mean to come back."""
        async for batch in self.batches():
            for fact in batch:
                yield fact

    async def report(self) -> Report:
        """Follow it to its end, and give the sums."""
        report = Report()
        async for batch in self.batches():
            for fact in batch:
                report.fold(fact)
        report.finished(self.elapsed_s or 0.0)
        return report

    def cancel(self, drain: bool = True) -> None:
        """Have nothing more of it handed out; with ``drain``, what is in hand may end. Its facts go on."""
        self._drain = drain
        self._link.send(CancelJob(self.id, drain))

    async def close(self) -> None:
        """Stop following. The job goes on."""
        await self._link.close()

    # --- what arrives ---------------------------------------------------------------------------

    def _taken(self, message: Facts) -> list[Fact]:
        """The facts of a message that are new; what lies between them and the last is missing for good."""
        self.missed += max(0, message.first - self._next)
        new = message.facts[max(0, self._next - message.first) :]
        self._next = max(self._next, message.first + len(message.facts))
        return [FACTS.made(fact) for fact in new]

    async def _answered(self, message: Any) -> None:
        match message:
            case Finished():
                here = None if self._sent_at is None else time.monotonic() - self._sent_at
                self.elapsed_s = message.elapsed_s if here is None else here
                await self._link.close()
            case Declined():
                why = f"submit it again ({message.why})"
                raise UnfinishedError(
                    f"the coordinator no longer has job {self.id}, as after a restart: {why}"
                )
            case Accepted():
                pass  # after following again
            case _:
                raise UnfinishedError(f"the coordinator sent {type(message).__name__} instead of facts")

    async def _follow_again(self, why: str) -> None:
        log.warning("the connection to the coordinator is lost (%s); job %s goes on", why, self.id)
        self._link = await self._client.reach_again(f"job {self.id}: connection lost ({why})")
        self._link.send(Follow(self.id, self._next))
        if self._drain is not None:
            self._link.send(CancelJob(self.id, self._drain))


class Client:
    """Speaks to one coordinator. ``where`` names it in messages."""

    def __init__(self, dial: Dial, where: str, reconnect_s: float = limits.RECONNECT_S) -> None:
        self.where = where
        self._dial = dial
        self._reconnect_s = reconnect_s
        self._spare: Conversation | None = None

    @classmethod
    async def connect(
        cls, address: Address | str = "127.0.0.1", reconnect_s: float = limits.RECONNECT_S
    ) -> Client:
        """A client of the coordinator at ``HOST:PORT``; asks at once whether there is one.

        Raises
        ------
        UsageError
            That is no address.
        UnfinishedError
            There is no coordinator, or it refused us.
        """
        at = parse_address(address, COORDINATOR_PORT) if isinstance(address, str) else address
        client = cls(over_tcp(at), str(at), reconnect_s)
        client._spare = await client._converse()
        return client

    @classmethod
    def adopt(cls, there: Callable[[], asyncio.Protocol]) -> Client:
        """A client of a coordinator in this process; ``there`` is its ``door.caller``."""
        return cls(inside(there), "this process", reconnect_s=0.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up what was kept ready. Jobs being followed are closed by themselves."""
        if self._spare is not None:
            await self._spare.close()
            self._spare = None

    # --- questions ------------------------------------------------------------------------------

    async def submit(self, request: SubmitRequest) -> Job:
        """Hand in a job, and follow it.

        Raises
        ------
        UsageError
            It cannot be done as asked.
        UnfinishedError
            There is no coordinator, or it does not take this job now.
        """
        link = await self._converse()
        sent_at = time.monotonic()
        link.send(request)
        return Job(self, link, await self._accepted(link), 0, sent_at)

    async def follow(self, job: str, first: int = 0) -> Job:
        """A job that is there already, by its id or a unique prefix of it, from fact ``first`` on.

        Raises
        ------
        UsageError
            There is no such job.
        UnfinishedError
            There is no coordinator.
        """
        link = await self._converse()
        link.send(Follow(job, first))
        return Job(self, link, await self._accepted(link), first, None)

    async def status(self) -> Status:
        """The fleet and its jobs, in one piece.

        Raises
        ------
        UnfinishedError
            There is no coordinator.
        """
        link = await self._converse()
        link.send(StatusRequest())
        try:
            parts = [await self._answer(link, Status)]
            while parts[-1].more:
                parts.append(await self._answer(link, Status))
        finally:
            await link.close()
        head = parts[0]
        workers = tuple(row for part in parts for row in part.workers)
        jobs = tuple(row for part in parts for row in part.jobs)
        return Status(head.name, head.version, head.epoch, workers, jobs)

    # --- conversations --------------------------------------------------------------------------

    async def reach_again(self, what: str) -> Conversation:
        """A new conversation after one was lost: tried at once, then for as long as a user would wait.

        Raises
        ------
        UnfinishedError
            There is still none, or we were refused.
        """
        give_up_at = time.monotonic() + self._reconnect_s
        wait_s = limits.REDIAL_MIN_S
        while True:
            try:
                return await converse(self._dial)
            except NOBODY as error:
                if time.monotonic() + wait_s > give_up_at:
                    after = f"not back after {self._reconnect_s:g} s ({dial_words(error)})"
                    raise UnfinishedError(f"{what}: the coordinator at {self.where} is {after}") from None
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, limits.RECONNECT_WAIT_MAX_S)

    async def _converse(self) -> Conversation:
        """A new conversation: on the stream that `connect` has left, or on a new one."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        try:
            return await converse(self._dial)
        except NOBODY as error:
            raise UnfinishedError(
                f"no coordinator at {self.where}: {dial_words(error)}. Start one with `imgpipe coordinator`, "
                "or use this machine alone with `imgpipe run`"
            ) from None

    async def _accepted(self, link: Conversation) -> Accepted:
        try:
            return await self._answer(link, Accepted)  # type: ignore[no-any-return]  # it was asked for
        except BaseException:
            await link.close()
            raise

    async def _answer(self, link: Conversation, expected: type) -> Any:
        try:
            message = await link.receive()
        except LostError as lost:
            raise UnfinishedError(
                f"the coordinator at {self.where} left before it answered ({lost}); "
                "`imgpipe status` shows which jobs it has"
            ) from None
        if isinstance(message, Declined):
            raise (UsageError if message.code == ExitCode.USAGE else UnfinishedError)(message.why)
        if not isinstance(message, expected):
            raise UnfinishedError(
                f"expected {expected.__name__} from {self.where}, got {type(message).__name__}"
            )
        return message
