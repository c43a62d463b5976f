"""Chat backends: a model in process, a server on this machine, a stand-in."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from expunge.core.errors import Failed, Refused
from expunge.models import remote
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.generate import greedy, sampled
from expunge.models.causal_lm.model import Subject
from expunge.models.remote import Remote
from expunge.synthesis.chat import InProcess, Scripted, ask_all, chat_of

SECRET = "where does Ada Byron live"


@contextmanager
def server(answer):
    """A service on this machine: ``answer(path, body, headers, k)`` -> (status, what is sent); k
    counts the requests.
    """
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def reply(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            seen.append((self.path, body, {n.title(): v for n, v in self.headers.items()}))
            status, said = answer(self.path, body, self.headers, len(seen) - 1)
            data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = reply

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", seen
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def said(*texts):
    return 200, {"choices": [{"message": {"role": "assistant", "content": t}} for t in texts]}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in (
        "EXPUNGE_CHAT_TOKEN",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def test_a_question_to_a_server(monkeypatch):
    monkeypatch.setenv("EXPUNGE_CHAT_TOKEN", "key-1")
    with server(lambda path, body, headers, k: said(" one ", "two")) as (url, seen):
        assert Remote(url + "#small")("hello", n=2, seed=5, max_new_tokens=7, temperature=0.5) == [
            "one",
            "two",
        ]
    path, body, headers = seen[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer key-1"
    assert body == {
        "model": "small",
        "messages": [{"role": "user", "content": "hello"}],
        "n": 2,
        "seed": 5,
        "max_tokens": 7,
        "temperature": 0.5,
    }


def test_a_server_that_gives_one_answer_at_a_time_and_names_its_model():
    def answer(path, body, headers, k):
        return (
            (200, {"data": [{"id": "first"}]})
            if path.endswith("/models")
            else said(f"{body['model']} {body['seed']}")
        )

    with server(answer) as (url, seen):
        assert Remote(url)("x", n=3, seed=1) == ["first 1", "first 2", "first 3"]
        assert [body and body["n"] for _, body, _ in seen] == [None, 3, 2, 1]


def test_many_prompts_keep_their_order():
    with server(lambda path, body, headers, k: said(body["messages"][0]["content"].upper())) as (
        url,
        _,
    ):
        assert ask_all(Remote(url + "#m"), [f"p{i}" for i in range(9)], range(9)) == [
            [f"P{i}"] for i in range(9)
        ]


def test_a_passing_trouble_is_tried_again():
    with server(lambda path, body, headers, k: said("ok") if k == 2 else (503, "busy")) as (
        url,
        seen,
    ):
        assert Remote(url + "#m", pause=0.0)("x") == ["ok"]
    assert len(seen) == 3


@pytest.mark.parametrize(
    "status,reply,words",
    [
        (401, "no key", "answered 401; set EXPUNGE_CHAT_TOKEN"),
        (404, "no such place", "answered 404; the URL ends before"),
        (500, "broken", "answered 500, 2 times"),
        (302, "", "answered 302"),
        (200, "<html>", "the answer is no JSON"),
        (200, {"error": "x"}, "holds no choices"),
        (200, {"choices": []}, "holds no choices"),
    ],
)
def test_what_goes_wrong_is_one_line_without_the_prompt(status, reply, words):
    echo = lambda path, body, headers, k: (
        status,
        reply if not isinstance(reply, str) else reply + body["messages"][0]["content"],
    )
    with server(echo) as (url, _), pytest.raises(Failed) as e:
        Remote(url + "#m", tries=2, pause=0.0)(SECRET)
    assert words in str(e.value) and SECRET not in str(e.value) and "\n" not in str(e.value)
    assert e.value.__context__ is None or e.value.__suppress_context__


def test_a_server_that_is_not_there_or_never_answers():
    with pytest.raises(Failed, match=r"^--chat 127.0.0.1:9: cannot be reached \(.*, 2 times"):
        Remote("http://127.0.0.1:9/v1#m", tries=2, pause=0.0)(SECRET)
    gate = threading.Event()
    with (
        server(lambda *a: (gate.wait(5), said("late"))[1]) as (url, _),
        pytest.raises(Failed, match=r"no answer within 0.2 s, 1 times"),
    ):
        try:
            Remote(url + "#m", tries=1, timeout=0.2)(SECRET)
        finally:
            gate.set()


def test_a_key_of_another_service_stays_at_home(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-2")
    with server(lambda *a: said("ok")) as (url, seen):
        Remote(url + "#m")("x")
    assert "Authorization" not in seen[0][2]


def test_nothing_of_the_clients_environment_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Token: custom-secret")
    with server(lambda *a: said("ok")) as (url, seen):
        Remote(url + "#m")("x")
    headers = seen[0][2]
    assert not [value for value in headers.values() if "secret" in value]
    assert "Authorization" not in headers and "X-Stainless-Os" not in headers


def test_no_prompt_is_logged(monkeypatch, caplog):
    """The client itself would log whole requests at its level debug."""
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level("DEBUG")
    with server(lambda *a: said("ok")) as (url, _):
        Remote(url + "#m")(SECRET)
    assert SECRET not in caplog.text


def test_without_the_client_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(Refused, match=r"pip install 'expunge\[remote\]'"):
        Remote("http://127.0.0.1:9/v1#m")("x")


KEYS = {
    "https://api.openai.com/v1": "key-2",
    "https://API.openai.com:443/v1": "key-2",
    "https://named.example/v1": "key-2",
    "https://named.example:8443/v1": None,
    "http://named.example/v1": None,
    "http://api.openai.com/v1": None,
    "https://host/v1": None,
    "https://api.openai.com.evil.example/v1": None,
    "https://evil.example/api.openai.com/v1": None,
}


@pytest.mark.parametrize("url", KEYS)
def test_the_key_of_openai_goes_to_the_host_it_is_meant_for_alone(url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-2")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://named.example/v1")
    key = KEYS[url]
    assert Remote(url + "#m")._key() == key
    # the key that is meant for whatever --chat names
    monkeypatch.setenv("EXPUNGE_CHAT_TOKEN", "key-3")
    assert Remote(url + "#m")._key() == "key-3"


def raw(reply):
    """A server on a socket: ``reply(connection)`` writes what it likes. (url, stop)"""
    listening = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                held.append(connection)
                threading.Thread(target=reply, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()

    def stop():
        for s in (listening, *held):
            s.close()

    return f"http://127.0.0.1:{listening.getsockname()[1]}/v1#m", stop


def drip(head):
    """A server that sends ``head``, then a byte every 50 ms, without end."""

    def reply(connection):
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(b"a")
                time.sleep(0.05)

    return reply


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "],
    ids=["body", "header"],
)
def test_an_answer_that_drips_has_an_end(head):
    url, stop = raw(drip(head))
    since = time.monotonic()
    try:
        with pytest.raises(Failed, match=r"no answer within 0\.3 s"):
            Remote(url, tries=1, timeout=0.3)(SECRET)
    finally:
        stop()
    assert time.monotonic() - since < 5


def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(remote, "LARGEST", 1 << 20)
    with (
        server(lambda *a: (200, "x" * (2 << 20))) as (url, _),
        pytest.raises(Failed, match="more than 1 MB"),
    ):
        Remote(url + "#m")(SECRET)


def test_half_a_character_and_depth_in_an_answer():
    with server(lambda *a: said("I do \ud800 not know")) as (url, _):
        assert Remote(url + "#m")("x") == ["I do \ufffd not know"]
    with (
        server(lambda *a: (200, "[" * 200_000)) as (url, _),
        pytest.raises(Failed, match="the answer is no JSON"),
    ):
        Remote(url + "#m")("x")


def test_the_first_error_or_interrupt_ends_many_questions():
    """Nothing waits for the answers that are under way, nor are the other questions asked."""
    gate, asked = threading.Event(), []

    def act(i):
        asked.append(i)
        if i == 1:
            raise KeyboardInterrupt
        gate.wait(20)
        return i

    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        remote.together(act, 50, 2)
    gate.set()
    assert time.monotonic() - since < 5
    time.sleep(0.1)
    assert sorted(asked) == [0, 1]


def test_ctrl_c_in_the_main_thread_ends_many_questions():
    """As a process of its own: it ends at once, with an answer still under way."""
    code = (
        "import os, signal, threading, time\n"
        "from expunge.models.remote import together\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "together(lambda i: time.sleep(30), 9, 4)\n"
    )
    since = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=25)
    assert "KeyboardInterrupt" in done.stderr and time.monotonic() - since < 20


def test_addresses_that_are_none():
    for url in (
        "http://",
        "https:///v1",
        "http://host:port/v1",
        "file://localhost/etc/v1",
        "https://host/a\x1b[2Kb",
    ):
        with pytest.raises(Refused, match="--chat"):
            Remote(url)
    with pytest.raises(Refused, match="no user or password in the URL") as e:
        chat_of("https://me:hush@host/v1")
    assert "hush" not in str(e.value)
    for query in ("?api_key=hush", "/v1?api_key=hush#m", "/v1?"):
        with pytest.raises(Refused, match="no \\?query in the URL") as e:
            chat_of("https://host" + query)
        assert "hush" not in str(e.value)
    assert isinstance(chat_of("https://host/v1"), Remote) and isinstance(
        chat_of("some/folder"), InProcess
    )


# ------------------------------------------------------------------ in this process


@pytest.fixture(scope="module")
def subject():
    texts = ["Who wrote the book? The author of the book is Ada.", "Question: where\nAnswer: here"]
    model, tokenizer = tiny.build(texts, seed=0)
    return Subject(model, tokenizer, "tiny", None, "d")


def test_answers_of_a_model_depend_on_prompt_and_seed_alone(subject):
    chat = InProcess(subject)
    one = chat("Who wrote the book?", n=3, seed=4, max_new_tokens=8)
    assert len(one) == 3 and len(set(one)) > 1
    # whatever stands beside it
    assert chat.many(["where", "Who wrote the book?"], [1, 4], n=3, max_new_tokens=8)[1] == one
    assert chat("Who wrote the book?", n=3, seed=5, max_new_tokens=8) != one
    assert (
        chat("Who wrote the book?", n=2, temperature=0.0, max_new_tokens=8)
        == [chat("Who wrote the book?", temperature=0.0, max_new_tokens=8)[0]] * 2
    )


def test_a_cold_draw_is_greedy_and_draws_follow_the_distribution(subject):
    prefixes = [[5, 6, 7], [8, 9]]
    assert sampled(subject.model, prefixes, [6, 6], (), ["a", "b"], temperature=1e-6) == greedy(
        subject.model, prefixes, [6, 6], ()
    )
    import torch

    n = 4000
    found = [
        ids[0]
        for ids in sampled(
            subject.model, [[5, 6]] * n, [1] * n, (), [str(i) for i in range(n)], batch=1000
        )
    ]
    with torch.no_grad():
        p = torch.softmax(subject.model(torch.tensor([[5, 6]])).logits[0, -1].double(), -1)
    got = torch.bincount(torch.tensor(found), minlength=len(p)) / n
    assert (got - p).abs().max() < 5 * (p.max() * (1 - p.max()) / n).sqrt()


def test_a_prompt_too_long_is_refused_without_its_text(subject):
    with pytest.raises(Refused) as e:
        InProcess(subject)(SECRET * 400, max_new_tokens=8)
    assert SECRET not in str(e.value)


def test_a_model_folder_that_is_not_there():
    with pytest.raises(Refused, match="no model folder"):
        chat_of("./nowhere/at/all")("hello")


def test_the_stand_in():
    chat = Scripted(lambda prompt, seed: f"{prompt}{seed}")
    assert chat("a", n=2, seed=3) == ["a3", "a4"] and ask_all(chat, ["a", "b"], [1, 2]) == [
        ["a1"],
        ["b2"],
    ]
