"""What the tests of all clients share: a case runs, and is told as one JSON line.

    {"client": ..., "case": ..., "ok": true | false, "detail": ..., "bug": ...}

`bug` is there where the client fails by itself, whatever the server, and says why.
"""

import asyncio
import inspect
import json


class Cases:
    """The cases of one client; coroutines run on an event loop of its own."""

    def __init__(self, client):
        self.client = client
        self._loop = asyncio.new_event_loop()

    def wait(self, given):
        """The result of a coroutine or of a future of asyncio; anything else as it is."""
        if not inspect.isawaitable(given):
            return given
        return self._loop.run_until_complete(given)

    def case(self, name, run):
        """Passes where `run` raises nothing."""
        self._tell(name, *self._attempt(run))

    def bug(self, name, why, run):
        """Passes where the client fails before, or after, the server has done its part. A client that works is told
        as a failure: then the case is one like all others."""
        ok, detail = self._attempt(run)
        self._tell(name, not ok, detail if not ok else "the client can do it", bug=why)

    def _attempt(self, run):
        try:
            self.wait(run())
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"[:2000]
        return True, ""

    def _tell(self, name, ok, detail, **more):
        line = {"client": self.client, "case": name, "ok": ok, "detail": detail, **more}
        print(json.dumps(line), flush=True)


def same(given, wanted):
    assert given == wanted, f"{given!r} is not {wanted!r}"


def contains(text, *parts):
    for part in parts:
        assert part in text, f"{text!r} lacks {part!r}"


def same_array(given, wanted):
    """The same elements of the same type, NaN being the same as NaN, and -0.0 not the same as 0.0."""
    same((given.dtype, given.shape), (wanted.dtype, wanted.shape))
    if wanted.dtype == object:
        same(given.tolist(), wanted.tolist())
    else:
        assert given.tobytes() == wanted.tobytes(), f"{given!r} is not {wanted!r}"
