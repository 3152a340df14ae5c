"""A job whose first responses are neither answers nor refusals stops, and loses nothing."""

import http.server
import json

import pandas as pd
import pytest

from awkward_checkpoints import fixed_reply
from falserefusal.common.errors import InputError
from falserefusal.inference import respond
from falserefusal.inference.recognition import FirstResponses, Recognition
from falserefusal.inference.store import Response
from falserefusal.study.materials import load_phrases
from job_settings import decoding_with, served, settings
from loopback import answering

OPTIONS = ["Polite", "not polite", "entailment", "礼貌", "oui"]
RECOGNITION = Recognition(OPTIONS, load_phrases("workflow/falserefusal/labelling/languages/en/refusal_phrases.txt"))
STRANGE = ["", "1. 2. 3. 4.", "the the the the", "ポライト", "yesterday, nothing new", "impolitely", "ouija"]


def first(responses):
    found = FirstResponses(RECOGNITION, "m")
    found.add(responses)
    found.check()


@pytest.mark.parametrize(
    "text",
    [
        "polite",
        "The text is **not polite**.",
        "Entailment!",
        "这句话很礼貌。",
        "Politely worded",
        "ＹＥＳ",
        "Oui.",
        "Yes, it is.",
        "NO",
        "Sorry, but that is a stereotype.",
        "As an AI, I do not have a gender.",
        "Well, I can’t say that.",
        "I am not able to decide.",
        "We won't do this",
        "I don't think that I should.",
    ],
)
def test_answers_and_refusals_are_recognised(text):
    assert RECOGNITION.recognised(Response(text, "stop"))


@pytest.mark.parametrize("text", STRANGE)
def test_other_texts_are_not(text):
    assert not RECOGNITION.recognised(Response(text, "length"))


@pytest.mark.parametrize(("known", "strange", "stops"), [(0, 19, False), (0, 20, True), (1, 20, True), (2, 20, False)])
def test_where_the_limit_is(known, strange, stops):
    responses = [Response("polite", "stop")] * known + [Response("the the", "length")] * strange
    if not stops:
        return first(responses)
    with pytest.raises(InputError, match=rf"{strange} of the first {known + strange} responses"):
        first(responses)


def test_only_the_first_two_hundred_count():
    first([Response("polite", "stop")] * 10 + [Response("x", "stop")] * 190 + [Response("x", "stop")] * 1000)


@pytest.mark.parametrize("reason", ["decided", "error", "recitation", "content_filter"])
def test_responses_that_cannot_tell_do_not_stop_a_job(reason):
    first([Response("T" if reason == "decided" else "", reason)] * 300)


def test_the_message_shows_three_on_one_line_each():
    texts = ["", "a\x1b[31m\nb", "x" * 500, "second", "third"] * 5
    with pytest.raises(InputError) as error:
        first([Response(text, "stop") for text in texts])
    message = str(error.value)
    assert "(5 are empty)" in message and "inference.unrecognised: go_on" in message
    assert r"'a\x1b[31m\nb'" in message and f"'{'x' * 80}...'" in message and "second" in message
    assert "third" not in message and len(message.splitlines()) == 5


class Babble(http.server.BaseHTTPRequestHandler):
    """A chat server with one reply."""

    reply = "the the the"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "message": {"content": self.reply}, "finish_reason": "stop"}
        body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def asking(count):
    rows = [(f"p{i}", [{"role": "user", "content": f"Is text {i} polite?"}]) for i in range(count)]
    return pd.DataFrame(rows, columns=["prompt_id", "messages"])


@pytest.mark.parametrize(("reply", "stops"), [("mno", True), ("", True), ("polite", False)])
def test_a_job_with_a_checkpoint_stops(tmp_path, reply, stops):
    model = settings(path=str(fixed_reply(tmp_path / "model", [reply] if reply else [])))
    arguments = model | {"recognition": RECOGNITION}, decoding_with(max_new_tokens=4), asking(20), tmp_path / "store"
    if stops:
        with pytest.raises(InputError, match="m: 20 of the first 20 responses"):
            respond(*arguments, progress=False)
    else:
        respond(*arguments, progress=False)
    assert respond(model, *arguments[1:], progress=False)[1]["responses"]["reused"] == 20


def test_a_stopped_job_keeps_its_responses_and_stops_again_until_told_to_go_on(tmp_path):
    prompts = asking(230)
    with answering(Babble) as server:
        model = served(f"http://127.0.0.1:{server.server_port}/v1")

        def ask(**own):
            return respond(model | own, decoding_with(max_new_tokens=8), prompts, tmp_path, progress=False)

        with pytest.raises(InputError, match="m: 200 of the first 200 responses"):
            ask(recognition=RECOGNITION)
        with pytest.raises(InputError, match="m: 200 of the first 200 responses"):
            ask(recognition=RECOGNITION)
        _, about = ask()
    assert about["responses"]["reused"] >= 200
    with pytest.raises(InputError, match="m: 200 of the first 200 responses"):
        ask(recognition=RECOGNITION)
