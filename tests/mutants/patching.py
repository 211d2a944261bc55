"""Puts a mutation into functions that are imported already, which saves the imports."""

import gc
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType


class NotInFunctionError(Exception):
    """The change is in code that runs at import."""


class Functions:
    """The functions of this process, as it is now."""

    def __init__(self, root: Path) -> None:
        self._by_file: dict[str, list[FunctionType]] = defaultdict(list)
        frozen = gc.get_freeze_count()
        gc.unfreeze()  # the collector does not list what is frozen, such as what the tests have imported
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(root)):
                self._by_file[one.__code__.co_filename].append(one)
        if frozen:
            gc.freeze()

    def patch(self, file: Path, before: str, after: str) -> None:
        """Give every function of a file the code that it has after a change.

        Raises `NotInFunctionError` if that is not the whole change, or no function has the code from before. What a
        function did at import, it does not do again.
        """
        replaced = dict(_pairs(compile(before, str(file), "exec"), compile(after, str(file), "exec")))
        changed = [function for function in self._by_file[str(file)] if function.__code__ in replaced]
        if not changed:
            raise NotInFunctionError(file)
        for function in changed:
            function.__code__ = replaced[function.__code__]


def _pairs(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the functions that differ, with what becomes of them."""
    is_function = before.co_flags & inspect.CO_OPTIMIZED
    old, new = _nested(before), _nested(after)
    alike = [one.co_qualname for one in old] == [one.co_qualname for one in new]
    if before.co_freevars != after.co_freevars or not (
        is_function or (alike and _own(before) == _own(after))
    ):
        raise NotInFunctionError(before.co_qualname)
    if is_function and before != after:
        yield before, after
    if alike:
        for one, other in zip(old, new, strict=True):
            yield from _pairs(one, other)


def _nested(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _own(code: CodeType) -> tuple[object, ...]:
    constants = [one for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, repr(constants), code.co_names, code.co_varnames
