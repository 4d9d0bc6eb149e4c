"""Several requests at once, and streams of answers: what each of tritonclient's four clients has for them."""

import asyncio
import queue
import threading

from report import contains, same
from triton_client import (
    IS_ASYNC,
    IS_HTTP,
    InferenceServerException,
    call,
    case,
    cases,
    client,
    documents,
    read,
    row,
    wait,
)

FLOATS = "echo.float32"
NUMBERS = [float(number) for number in range(20)]


def number_of(result):
    return float(result.as_numpy("output")[0, 0])


def many_at_once():
    if IS_HTTP and not IS_ASYNC:
        asked = [client.async_infer(FLOATS, [row(number)]) for number in NUMBERS]
        same([number_of(one.get_result()) for one in asked], NUMBERS)
    elif IS_ASYNC:
        same([number_of(one) for one in wait(gathered())], NUMBERS)
    else:
        answers = {}
        done = threading.Semaphore(0)

        def heard(number, result, error):
            answers[number] = error or number_of(result)
            done.release()

        for number in NUMBERS:
            client.async_infer(FLOATS, [row(number)], lambda result, error, number=number: heard(number, result, error))
        for _ in NUMBERS:
            assert done.acquire(timeout=30)
        same(answers, {number: number for number in NUMBERS})


async def gathered():
    return await asyncio.gather(*[client.infer(FLOATS, [row(number)]) for number in NUMBERS])


case("20 at once", many_at_once)


def gives_up():
    try:
        call("infer", "slow", documents(1), client_timeout=0.2)
    except InferenceServerException as error:
        same(error.status(), "StatusCode.DEADLINE_EXCEEDED")
        return
    raise AssertionError("it was answered")


def cancel():
    heard = queue.Queue()
    context = client.async_infer("slow", documents(1), lambda result, error: heard.put(error))
    context.cancel()
    contains(str(heard.get(timeout=30)), "cancelled")


async def cancel_task():
    task = asyncio.ensure_future(client.infer("slow", documents(1)))
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, InferenceServerException) as error:
        contains(f"{type(error).__name__} {error}".lower(), "cancelled")
        return
    raise AssertionError("it was answered")


class Stream:
    """A stream with these requests; gives answers until it ends, or until `stop` is called."""

    def __init__(self, *requests):
        self._requests = requests
        self._heard = queue.Queue()

    def answers(self, number):
        """As pairs of result and error."""
        if IS_ASYNC:
            return wait(self._read(number))
        client.start_stream(lambda result, error: self._heard.put((result, error)))
        for request in self._requests:
            client.async_stream_infer(**request)
        answers = [self._heard.get(timeout=30) for _ in range(number)]
        client.stop_stream(cancel_requests=True)
        return answers

    async def _read(self, number):
        async def requests():
            for request in self._requests:
                yield dict(request)
            await asyncio.Event().wait()  # a stream whose client says no more is ended by the server

        iterator = client.stream_infer(requests())
        answers = [await anext(iterator) for _ in range(number)]
        iterator.cancel()
        return answers


def ask(model, *values, **options):
    return {"model_name": model, "inputs": documents(*values), **options}


def final(result):
    return result.get_response().parameters["triton_final_response"].bool_param


def in_order():
    requests = [{"model_name": FLOATS, "inputs": [row(number)], "request_id": f"{number}"} for number in NUMBERS]
    answers = Stream(*requests).answers(len(requests))
    same([error for _, error in answers], [None] * len(NUMBERS))
    same([number_of(result) for result, _ in answers], NUMBERS)
    same([result.get_response().id for result, _ in answers], [f"{number}" for number in NUMBERS])
    same([final(result) for result, _ in answers], [True] * len(NUMBERS))


def many_answers():
    answers = Stream(ask("tokens", 3, request_id="a"), ask("words", "x y")).answers(4)
    same([read(result)[0] for result, _ in answers], [1, 2, 3, 2])
    same([final(result) for result, _ in answers], [False, False, False, True])


def empty_final():
    """Between the answers to two requests, so that nobody waits where there is none."""
    answers = Stream(ask("tokens", 2, enable_empty_final_response=True), ask("words", "x")).answers(
        4 if not IS_ASYNC else 3
    )
    last, error = answers[2]
    same([read(result)[0] for result, _ in answers[:2]], [1, 2])
    same((error, final(last), list(last.get_response().outputs)), (None, True, []))


def failed_among_others():
    first, second, third = Stream(ask("words", "x"), ask("nope", "x"), ask("words", "x y z")).answers(3)
    same((read(first[0]), read(third[0])), ([1], [3]))
    contains(str(second[1]), "NOT_FOUND", 'the model "nope"')


def failed_after_answers():
    *values, (_, error) = Stream(ask("broken.trickle", 1)).answers(3)
    same([read(result)[0] for result, _ in values], [1, 2])
    contains(str(error), "USER_CODE")
    assert "secret" not in str(error), str(error)


def left_early():
    answers = Stream(ask("slow.count", 1)).answers(3)
    same([read(result)[0] for result, _ in answers], [1, 2, 3])
    same(number_of(wait(client.infer(FLOATS, [row(7)]))), 7.0)


if not IS_HTTP:
    case("timeout of the client", gives_up)
    case("cancel", cancel_task if IS_ASYNC else cancel)
    case("stream: answers in the order of the requests", in_order)
    case("stream: model with many answers", many_answers)
    if IS_ASYNC:
        cases.bug("stream: empty final answer", "stream_infer knows no enable_empty_final_response", empty_final)
    else:
        case("stream: empty final answer", empty_final)
    case("stream: request that fails among others", failed_among_others)
    case("stream: model that fails after two answers", failed_after_answers)
    case("stream: client that leaves", left_early)
