"""How long a wait lasts, and who is served: on an event loop that is never late."""

import asyncio

import pytest

from service.wait_queue import CHECK_SECONDS, WaitQueue
from tests.unit.punctual import now, run


@pytest.mark.parametrize("seconds", [0.5, CHECK_SECONDS])
@pytest.mark.parametrize("after", [0.0, 0.001, 0.009, 0.011, 2.0])
def test_wait_lasts_its_seconds_and_at_most_one_check_more(after: float, seconds: float) -> None:
    """Another one has begun before: the checks have their own times."""

    async def work() -> None:
        queue = WaitQueue[str](seconds)
        first = queue.join()
        await asyncio.sleep(after)
        begun = now()
        with pytest.raises(TimeoutError):
            await queue.join()
        lasted = now() - begun
        assert seconds - 1e-6 <= lasted <= seconds + CHECK_SECONDS + 1e-6
        assert isinstance(first.exception(), TimeoutError)

    run(work())


def test_longest_wait_is_served_first_and_one_that_has_left_is_passed_over() -> None:
    async def work() -> None:
        queue = WaitQueue[str](0.5)
        left, first, second = queue.join(), queue.join(), queue.join()
        left.cancel()
        assert len(queue) == 2
        assert queue.serve("a")
        assert queue.serve("b")
        assert not queue.serve("c")
        assert (first.result(), second.result(), len(queue)) == ("a", "b", 0)

    run(work())


def test_refusal_ends_each_wait_with_a_separate_error() -> None:
    async def work() -> None:
        queue = WaitQueue[str](0.5)
        left, first, second = queue.join(), queue.join(), queue.join()
        left.cancel()
        queue.refuse(lambda: OSError("closed"))
        errors = first.exception(), second.exception()
        assert [str(error) for error in errors] == ["closed", "closed"]
        assert errors[0] is not errors[1]

    run(work())
