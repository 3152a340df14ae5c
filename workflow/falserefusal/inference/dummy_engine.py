"""Engine without a model: fixed responses, of which a given share are refusals, to try a study without any weights."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator

from falserefusal.inference.chat import place_system
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.engine import register
from falserefusal.inference.store import NO_BATCH, Response

# The refusal, and the response to a prompt that offers no options, by the language of the study
ENGLISH = ("I'm sorry, but I can't help with that.", "This is a fixed response.")
FIXED = {
    "en": ENGLISH,
    "de": ("Es tut mir leid, aber dabei kann ich nicht helfen.", "Das ist eine feste Antwort."),
    "es": ("Lo siento, pero no puedo ayudar con eso.", "Esta es una respuesta fija."),
}


@register("dummy")
class DummyEngine:
    """Refuses prompts that are chosen by their hash, and answers all others with one of the options that they offer.

    Parameters
    ----------
    model : dict
        `model` (its name), `dummy` (share of refusals) and `options` (lists of options, one for each task). Optional:
        `language` of the study, and `refusal` in place of the English one where FIXED does not have the language.
    decoding : Decoding
        Not used: the responses are fixed.
    """

    repeats_batches = keeps_batch_tokens = depends_on_batch = False
    batch_tokens = None
    packages = ()

    def __init__(self, model: dict, decoding: Decoding):
        self.version: dict[str, str] = {}
        self.options = model["options"]
        unknown = (model.get("refusal", ENGLISH[0]), ENGLISH[1])
        self.refusal, self.other = FIXED.get(model.get("language", "en"), unknown)
        self.share = float(model["dummy"])
        self.policy = model["system_role"]
        self.identity = {
            "name": f"dummy-{model['model']}",
            "revision": None,
            "refusals": self.share,
            "options": self.options,
            "refusal": self.refusal,
        }

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Return the messages as JSON."""
        turns = [place_system(turns, self.policy, name) for turns, name in zip(conversations, names, strict=True)]
        return [json.dumps(conversation, sort_keys=True) for conversation in turns]

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Take the prompts and return estimates of their lengths in tokens."""
        self.prompts = prompts
        return [len(prompt) // 4 + 1 for prompt in prompts]

    def generate(
        self, keys: list[str], decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Iterator[tuple[str, dict[int, Response]]]:
        """Yield all responses at once."""
        yield NO_BATCH, {}
        responses = {}
        for number, (prompt, full) in enumerate(zip(self.prompts, in_full, strict=True)):
            text = self._response(prompt)
            early = decided is not None and not full and decided(text)
            length = len(prompt) // 4 + 1
            responses[number] = Response(text, "decided" if early else "stop", length, len(text.split()))
        yield NO_BATCH, responses

    def close(self) -> None:
        """Nothing is loaded."""

    def provenance(self) -> dict:
        """Return the record, which says that the responses are no model's."""
        about = f"{100 * self.share:g}% of its responses are fixed refusals, the others name an option of the prompt"
        return {"backend": self.name, **self.identity, "identity": self.identity, "responses_are": about}

    def _response(self, prompt: str) -> str:
        chance = int.from_bytes(hashlib.sha256(f"{self.identity['name']} {prompt}".encode()).digest()[:8])
        if chance < self.share * 2**64:
            return self.refusal
        question = json.loads(prompt)[-1]["content"]
        offered = [own for own in self.options if all(_names(question, option) for option in own)]
        longest = max(offered, key=lambda own: sum(map(len, own)), default=[self.other])  # letters occur everywhere
        return str(longest[chance % len(longest)])


def _names(question: str, option: str) -> bool:
    """Whether an option occurs as a whole word."""
    return re.search(rf"(?<!\w){re.escape(option)}(?!\w)", question) is not None
