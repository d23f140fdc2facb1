"""One kind of work on the items of many calls: token-budget batches, fairly shared.

A batch takes items tenant by tenant (fair.py) until padding them to the longest would exceed the
budget, so that a call of a thousand facts holds up neither another's single fact nor the rows
that decode meanwhile. Items of one call wait sorted by length, so that little is padding. An item
above the budget is a batch of its own; where its work has steps, each is a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from service.engine.device import check_device
from service.engine.fair import FairQueue
from service.engine.intake import Job
from service.engine.memory_limits import exhausted, free, halved
from service.engine.protocol import OutOfMemory

T = TypeVar("T")
R = TypeVar("R")


@dataclass(eq=False)
class Task(Generic[T, R]):
    """The items of one call, and what follows when all of them have a result."""

    job: Job
    items: Sequence[T]
    then: Callable[[list[R]], None]
    results: list[R | None]
    left: int


class Duty(Generic[T, R]):
    """`work` is called with items of any calls, at most about `budget` tokens at a time; `steps`
    does an item above the budget, and pauses in between."""

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        budget: int,
        steps: Callable[[T], Generator[None, None, R]] | None = None,
    ) -> None:
        self._work, self._budget, self._steps = work, budget, steps
        self._under_way: tuple[Task[T, R], int, Generator[None, None, R]] | None = None
        self._waiting: FairQueue[tuple[Task[T, R], int, int]] = FairQueue()  # task, index, tokens

    def __len__(self) -> int:
        return len(self._waiting) + (self._under_way is not None)

    def add(
        self, job: Job, items: Sequence[T], tokens: Sequence[int], then: Callable[[list[R]], None]
    ) -> None:
        """`tokens[i]` is the length of item i. `then` gets the results in the items' order."""
        task: Task[T, R] = Task(job, items, then, [None] * len(items), len(items))
        for i in sorted(range(len(items)), key=tokens.__getitem__):
            self._waiting.put(job.tenant, (task, i, tokens[i]), max(tokens[i], 1))
        if not items:
            then([])

    def serve(self) -> None:
        """A step of what is under way, and a batch, if anything waits. What a call makes fail, out
        of memory or whatever else, fails that call alone. Raises what a lost device raises."""
        if self._under_way is not None:
            self._step(*self._under_way)
        batch, longest = self._batch()
        for task, _ in batch:
            task.job.begin()
        if self._steps is None or longest <= self._budget:
            self._work_on(batch)
        else:
            ((task, i),) = batch
            self._under_way = task, i, self._steps(task.items[i])
            self._step(*self._under_way)

    def _work_on(self, batch: Sequence[tuple[Task[T, R], int]]) -> None:
        failure = self._attempt(batch) if batch else None
        if failure is None:
            return
        calls: dict[Task[T, R], list[tuple[Task[T, R], int]]] = {}
        for task, i in batch:
            calls.setdefault(task, []).append((task, i))
        for task, part in calls.items():  # one by one: what hangs until it fails is tried once more
            if len(calls) > 1:
                failure = self._attempt(part)
            if failure is not None:
                task.job.fail(failure)

    def _attempt(self, batch: Sequence[tuple[Task[T, R], int]]) -> Exception | None:
        """Hands the results on; what was raised, if there are none."""
        try:
            done = halved(self._work, [task.items[i] for task, i in batch])
        except Exception as error:
            check_device()
            return error
        for (task, i), result in zip(batch, done, strict=True):
            self._hand_on(task, i, result)
        return None

    def _step(self, task: Task[T, R], i: int, steps: Generator[None, None, R]) -> None:
        """Goes on with the item that is under way, while somebody waits for it."""
        try:
            if not task.job.over:
                return next(steps)
        except StopIteration as end:
            self._hand_on(task, i, end.value)
        except Exception as error:
            check_device()
            task.job.fail(OutOfMemory() if exhausted(error) else error)
        self._under_way = None
        return free()

    def _hand_on(self, task: Task[T, R], i: int, result: R | OutOfMemory) -> None:
        if isinstance(result, OutOfMemory):
            task.job.fail(result)
        else:
            task.results[i] = result
        task.left -= 1
        if not task.left and not task.job.over:
            task.then(cast(list[R], task.results))

    def _batch(self) -> tuple[list[tuple[Task[T, R], int]], int]:
        """The items, and the longest one's tokens: above the budget, it is alone, and waits for
        the one that is under way."""
        self._waiting.drop(lambda entry: entry[0].job.over)
        batch: list[tuple[Task[T, R], int]] = []
        longest = 1
        while self._waiting:
            tokens = max(longest, self._waiting.first()[2])
            full = tokens * (len(batch) + 1) > self._budget
            if full and (batch or self._under_way is not None):
                break
            task, i, _ = self._waiting.pop()
            batch.append((task, i))
            longest = tokens
        return batch, longest
