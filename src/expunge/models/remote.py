"""Chat through an OpenAI-compatible URL: standard library only, no redirects followed, no text of
the data in an error.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import Any, TypeVar, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from expunge.core.errors import Failed, Refused

T = TypeVar("T")
OPENAI = "api.openai.com"
LARGEST = 8 << 20  # bytes of an answer
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # worth another try
HINTS = {
    401: "; set EXPUNGE_CHAT_TOKEN to the service's key",
    403: "; set EXPUNGE_CHAT_TOKEN to a key that may do this",
    404: "; the URL ends before /chat/completions, as in http://127.0.0.1:8000/v1#model",
    400: "; name the model behind a #, as in https://host/v1#model",
}


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs, which no file can hold; U+FFFD stands for each."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_address(url: str) -> None:
    """Refused: what is no http(s) address of a service, and one that holds what must not stand in a
    run.yaml.
    """
    try:
        parts = urlsplit(url)
        fitting = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        fitting = False
    if not fitting or any(c.isspace() or not c.isprintable() for c in url):
        raise Refused("--chat: this is no address of a service; write https://host/v1#model")
    if "@" in parts.netloc:
        raise Refused(
            "--chat: no user or password in the URL, which is kept in run.yaml; set "
            "EXPUNGE_CHAT_TOKEN"
        )
    if parts.query or "?" in url:
        raise Refused(
            "--chat: no ?query in the URL, which is kept in run.yaml; a key goes into "
            "EXPUNGE_CHAT_TOKEN"
        )


class _Stay(HTTPRedirectHandler):
    """A redirect would carry the texts and the key to another place."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Remote:
    """``url`` is the service's base, ``https://host/v1``; ``#model`` behind it names the model
    (else the service's first).

    The key is EXPUNGE_CHAT_TOKEN, which goes to whatever host ``url`` names. Without it
    OPENAI_API_KEY goes to api.openai.com, or to the host of OPENAI_BASE_URL, over https, and to
    nobody else. Every prompt, and so texts of the data, goes to that host. ``timeout``: seconds for
    a whole answer, however slowly it drips.
    """

    url: str
    timeout: float = 120.0
    tries: int = 4
    pause: float = 1.0
    workers: int = 4

    def __post_init__(self) -> None:
        check_address(self.url)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @cached_property
    def model(self) -> str:
        """What stands behind the #, or the first model that the service has."""
        named = urlsplit(self.url).fragment
        if named:
            return named
        try:
            return str(self._json("models", None)["data"][0]["id"])
        except (KeyError, IndexError, TypeError):
            raise Failed(
                f"--chat {self.host}: the service names no model; write it behind a #"
            ) from None

    def __call__(
        self,
        prompt: str,
        *,
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int = 256,
        temperature: float = 1.0,
    ) -> list[str]:
        """``n`` answers; a service that gives one at a time is asked again with the next seed."""
        found: list[str] = []
        while len(found) < n:
            said = self._json(
                "chat/completions",
                {
                    "model": self.model,
                    "messages": [{"role": "user", "content": prompt}],
                    "n": n - len(found),
                    "seed": (seed + len(found)) % (1 << 31),
                    "max_tokens": max_new_tokens,
                    "temperature": temperature,
                },
            )
            try:
                new = [
                    _whole(str(choice["message"]["content"] or "")).strip()
                    for choice in said["choices"]
                ]
            except (KeyError, TypeError, IndexError):
                new = []
            if not new:
                raise Failed(
                    f"--chat {self.host}: the answer holds no choices; is this an "
                    f"OpenAI-compatible service?"
                )
            found += new
        return found[:n]

    def many(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        n: int = 1,
        max_new_tokens: int = 256,
        temperature: float = 1.0,
    ) -> list[list[str]]:
        """Answers to every prompt, a few requests at a time, in order."""
        _ = self.model if prompts else ""
        asked = list(zip(prompts, seeds, strict=True))
        return together(
            lambda i: self(
                asked[i][0],
                n=n,
                seed=asked[i][1],
                max_new_tokens=max_new_tokens,
                temperature=temperature,
            ),
            len(asked),
            self.workers,
        )

    def _headers(self) -> dict[str, str]:
        token = os.environ.get("EXPUNGE_CHAT_TOKEN") or self._openai_key()
        return {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )

    def _openai_key(self) -> str | None:
        """OpenAI's key where the address is OpenAI's, or that of OPENAI_BASE_URL; else None."""
        parts = urlsplit(self.url)
        named = os.environ.get("OPENAI_BASE_URL") or f"https://{OPENAI}"
        with suppress(ValueError):
            meant = urlsplit(named)
            ours = (parts.hostname, parts.port or 443) in (
                (OPENAI, 443),
                (meant.hostname, meant.port or 443),
            )
            if parts.scheme == "https" and ours:
                return os.environ.get("OPENAI_API_KEY")
        return None

    def _json(self, path: str, body: Any) -> Any:
        parts = urlsplit(self.url)
        where = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{path}"
        data = None if body is None else json.dumps(body).encode()
        why = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                return json.loads(within(self.timeout, lambda: self._answer(where, data)))
            except HTTPError as error:
                error.close()
                why = f"answered {error.code}"
                if error.code not in PASSING:
                    raise Failed(f"--chat {self.host}: {why}{HINTS.get(error.code, '')}") from None
            except (ValueError, RecursionError):
                raise Failed(
                    f"--chat {self.host}: the answer is no JSON; is this an OpenAI-compatible "
                    f"service?"
                ) from None
            except TimeoutError:
                why = f"no answer within {self.timeout:g} s"
            except (URLError, OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                timed_out = isinstance(reason, TimeoutError)
                why = (
                    f"no answer within {self.timeout:g} s"
                    if timed_out
                    else f"cannot be reached ({type(reason).__name__})"
                )
        raise Failed(
            f"--chat {self.host}: {why}, {self.tries} times; see that it is up and run again"
        )

    def _answer(self, where: str, data: bytes | None) -> bytes:
        with build_opener(_Stay()).open(
            Request(where, data, self._headers()), timeout=self.timeout
        ) as answer:
            found: bytes = answer.read(LARGEST + 1)
        if len(found) > LARGEST:
            raise Failed(
                f"--chat {self.host}: an answer of more than {LARGEST >> 20} MB; is this an "
                f"OpenAI-compatible service?"
            )
        return found


def within(seconds: float, act: Callable[[], T]) -> T:
    """The result of ``act``, which runs in a thread of its own; TimeoutError after ``seconds``.

    A socket's own timeout begins anew with every byte. The thread is left behind: it ends with the
    process at the latest.
    """
    done: Queue[tuple[T | None, BaseException | None]] = Queue()

    def work() -> None:
        try:
            done.put((act(), None))
        except BaseException as error:
            done.put((None, error))

    Thread(target=work, daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast(T, value)


def together(act: Callable[[int], T], n: int, workers: int) -> list[T]:
    """``act`` of 0 ... n - 1, ``workers`` at a time, in order.

    The first error ends it, and so does Ctrl-C, at once: nothing waits for what is under way, and
    nothing more is begun.
    """
    todo, stopped = iter(range(n)), Event()
    lock, done = Lock(), Queue[tuple[int, T | None, BaseException | None]]()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                i = next(todo, None)
            if i is None:
                return
            try:
                done.put((i, act(i), None))
            except BaseException as error:
                stopped.set()
                done.put((i, None, error))

    found: dict[int, T] = {}
    try:
        for _ in range(min(workers, n)):
            Thread(target=work, daemon=True).start()
        for _ in range(n):
            i, value, error = done.get()
            if error is not None:
                raise error
            found[i] = cast(T, value)
    finally:
        stopped.set()
    return [found[i] for i in range(n)]
