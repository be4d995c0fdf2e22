"""The lm_eval backend over real model classes of lm-eval."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from harness.backends.lm_eval import LmEvalBackend
from harness.errors import UsageError
from harness.types import Request, SamplingParams

PARAMS = SamplingParams(temperature=1.0, top_p=0.95, max_tokens=16)


def requests(problems: int, n: int) -> list[Request]:
    return [
        Request("task", f"p{p}", i, 1000 * p + i, ({"role": "user", "content": f"question {p}"},))
        for p in range(problems)
        for i in range(n)
    ]


class Server:
    """An OpenAI-compatible chat server that answers from the seed (``stubborn``: from the question alone)."""

    def __init__(self, stubborn: bool) -> None:
        self.bodies: list[dict[str, object]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                question = body["messages"][-1]["content"]
                text = question if stubborn else f"{question} {body['seed']}"
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                reply = json.dumps({"choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def backend(self, extra: str = "") -> LmEvalBackend:
        url = f"http://127.0.0.1:{self.server.server_port}/v1/chat/completions"
        return LmEvalBackend("local-chat-completions", f"model=any,base_url={url},num_concurrent=4{extra}")


@pytest.fixture
def server() -> Iterator[type[Server]]:
    started: list[Server] = []

    class Kept(Server):
        def __init__(self, stubborn: bool) -> None:
            super().__init__(stubborn)
            started.append(self)

    yield Kept
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def test_every_sample_of_a_problem_is_sent_with_its_own_recorded_seed(server: type[Server]) -> None:
    running = server(stubborn=False)
    samples = list(running.backend().generate("any", requests(3, 4), PARAMS))
    assert len({(s.problem_id, s.response) for s in samples}) == 12
    assert all(s.response.endswith(f" {s.seed}") for s in samples)
    assert all(body["temperature"] == 1.0 and body["top_p"] == 0.95 for body in running.bodies)
    assert all("top_k" not in body for body in running.bodies)


def test_the_same_requests_give_the_same_samples_again(server: type[Server]) -> None:
    running = server(stubborn=False)
    first, second = (list(running.backend().generate("any", requests(2, 3), PARAMS)) for _ in range(2))
    assert first == second


def test_a_server_that_repeats_itself_ends_the_run(server: type[Server]) -> None:
    with pytest.raises(UsageError, match="fixed seed"):
        list(server(stubborn=True).backend().generate("any", requests(6, 2), PARAMS))


def test_greedy_samples_may_be_equal(server: type[Server]) -> None:
    greedy = SamplingParams(temperature=0.0, max_tokens=16)
    assert len(list(server(stubborn=True).backend().generate("any", requests(6, 2), greedy))) == 12


def test_a_seed_fixed_by_the_user_is_refused_for_several_samples(server: type[Server]) -> None:
    backend = server(stubborn=False).backend(",seed=7")
    with pytest.raises(UsageError, match="seed= in"):
        list(backend.generate("any", requests(2, 2), PARAMS))
    assert len(list(backend.generate("any", requests(2, 1), PARAMS))) == 2


def test_unknown_classes_and_bad_arguments_are_one_sentence() -> None:
    with pytest.raises(UsageError, match="did you mean 'local-chat-completions'"):
        LmEvalBackend("local-chat-completion")
    with pytest.raises(UsageError, match="does not start with 'pretrained=/nowhere/at/all,token=\\*\\*\\*'"):
        LmEvalBackend("hf", "pretrained=/nowhere/at/all,token=abc")
