"""Chat through an OpenAI-compatible URL, by the openai client (the extra ``remote``).

No redirect is followed, and no text of the data is in an error or a log.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from expunge.core.errors import Failed, Refused

T = TypeVar("T")
OPENAI = "api.openai.com"
LARGEST = 8 << 20  # bytes of an answer
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # worth another try
# all that is sent besides the body
HEADERS = frozenset(
    {
        "host",
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "user-agent",
        "x-stainless-raw-response",  # by it the client knows that the answer is read in pieces
    }
)
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
    """Checks the address of a service.

    Args:
        url: What the user gave.

    Raises:
        Refused: It is no http(s) address, or it holds a secret that run.yaml would keep.
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


@dataclass(frozen=True)
class Remote:
    """A chat model of a service.

    The key is EXPUNGE_CHAT_TOKEN, which goes to whatever host ``url`` names. Without it
    OPENAI_API_KEY goes to api.openai.com, or to the host of OPENAI_BASE_URL, over https, and to
    no other. Every prompt, and so texts of the data, goes to that host.

    Args:
        url: The base address of the service, ``https://host/v1``. ``#model`` at its end names the
            model; without it the first model of the service is taken.
        timeout: Seconds for a whole answer, however slowly its bytes arrive.
        tries: How often a request is sent before it fails.
        pause: Seconds before the second try; doubled before every further one.
        workers: Requests at a time.
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
        """The model that the address names, or the first one of the service."""
        named = urlsplit(self.url).fragment
        if named:
            return named
        try:
            return str(self._json(None)["data"][0]["id"])
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
                new = []
                for choice in said["choices"]:
                    new.append(_whole(str(choice["message"]["content"] or "")).strip())
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

    def _key(self) -> str | None:
        """The key that is meant for this host; None if there is none."""
        return os.environ.get("EXPUNGE_CHAT_TOKEN") or self._openai_key()

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

    @cached_property
    def _client(self) -> Any:
        """The openai client: no retries of its own, no redirects, no headers from its environment.

        A redirect would carry the texts and the key to another place.
        """
        openai = _openai()
        parts = urlsplit(self.url)
        key = self._key()
        sent = HEADERS if key else HEADERS - {"authorization"}
        hooks = {"request": [partial(_only, sent)], "response": [_raise_for_status]}
        transport = openai.DefaultHttpxClient(follow_redirects=False, event_hooks=hooks)
        return openai.OpenAI(
            base_url=f"{parts.scheme}://{parts.netloc}{parts.path}",
            api_key=key or "none",  # the client demands one; the hook drops its header
            timeout=self.timeout,
            max_retries=0,
            http_client=transport,
        )

    def _json(self, body: Mapping[str, Any] | None) -> Any:
        """The JSON answer to a chat request, or without one the list of models.

        Passing trouble is tried again.
        """
        request = partial(self._answer, self._client, body)
        why = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                return json.loads(within(self.timeout, request))
            except _Status as error:
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
            except ConnectionError as error:
                why = f"cannot be reached ({error})"
        raise Failed(
            f"--chat {self.host}: {why}, {self.tries} times; see that it is up and run again"
        )

    def _answer(self, client: Any, body: Mapping[str, Any] | None) -> bytes:
        """The bytes of an answer, at most LARGEST.

        Raises:
            _Status: The service answered with an error or a redirect.
            TimeoutError: It did not answer in time.
            ConnectionError: It cannot be reached, or ended the connection; names the kind of error.
            Failed: The answer is too large.
        """
        openai = _openai()
        if body is None:
            request = client.models.with_streaming_response.list()
        else:
            request = client.chat.completions.with_streaming_response.create(**body)
        found = bytearray()
        try:
            with request as answer:
                for piece in answer.iter_bytes():
                    found += piece
                    if len(found) > LARGEST:
                        break
        except openai.APITimeoutError:
            raise TimeoutError from None
        except Exception as error:  # of the client, or of the HTTP library under it
            cause = error.__cause__ or error
            if isinstance(cause, _Status):
                raise cause from None
            raise ConnectionError(type(cause).__name__) from None
        if len(found) > LARGEST:
            raise Failed(
                f"--chat {self.host}: an answer of more than {LARGEST >> 20} MB; is this an "
                f"OpenAI-compatible service?"
            )
        return bytes(found)


class _Status(Exception):
    """The status of an answer that is an error or a redirect; its body is never read."""

    def __init__(self, code: int) -> None:
        self.code = code


def _raise_for_status(response: Any) -> None:
    if response.status_code >= 300:
        raise _Status(response.status_code)


def _only(names: Set[str], request: Any) -> None:
    """Drops headers that the client adds of itself or from its environment, such as secrets."""
    for name in list(request.headers):
        if name.lower() not in names:
            del request.headers[name]


def _openai() -> Any:
    """The openai client; Refused where the extra is not installed."""
    try:
        import openai
    except ImportError:
        raise Refused(
            "--chat with a URL needs the openai client; pip install 'expunge[remote]'"
        ) from None
    # at its level "debug" it would log whole requests, and so texts of the data
    logging.getLogger("openai").setLevel(logging.WARNING)
    return openai


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
    todo = iter(range(n))
    stopped = Event()
    lock = Lock()
    done = Queue[tuple[int, T | None, BaseException | None]]()

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
