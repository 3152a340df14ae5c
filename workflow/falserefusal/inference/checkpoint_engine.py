"""What the engines for a checkpoint on this machine share: chat template, prompts in tokens, early decisions."""

import functools
import logging
from collections.abc import Callable

from falserefusal.common.errors import InputError
from falserefusal.common.hashes import portable
from falserefusal.inference import checkpoint as checkpoints
from falserefusal.inference.chat import FIXED_DATE, examine
from falserefusal.inference.decoding import Decoding

log = logging.getLogger(__name__)


class CheckpointEngine:
    """Base of an engine that prompts a checkpoint through its own chat template, examined before the first prompt.

    Loads the tokenizer and the configuration at once, no weights.

    Parameters
    ----------
    model : dict
        What `checkpoint.locate` reads, `system_role` (see `Chat`) and `threads` (of the CPU; None: as torch chooses).
    decoding : Decoding
        The decoding parameters.
    """

    name: str  # set by `engine.register`

    def __init__(self, model: dict, decoding: Decoding):
        self.decoding = decoding
        self.threads = model["threads"]
        self.checkpoint = checkpoints.locate(model)
        self.identity = self.checkpoint.identity
        self.config, self.generation_config = checkpoints.load_configs(self.checkpoint)
        eos = self.generation_config.get("eos_token_id", getattr(self.config, "eos_token_id", None))
        eos = [] if eos is None else eos if isinstance(eos, list) else [eos]
        tokenizer = checkpoints.load_tokenizer(self.checkpoint)
        try:
            self.chat = examine(tokenizer, eos, model["system_role"])
        except InputError as error:
            raise InputError(f"model {model['model']}: {error}") from error
        self.version = {"revision": self.checkpoint.revision, "chat template": f"sha256:{self.chat.template_sha256}"}
        if self.checkpoint.adapter:
            self.version["adapter"] = self.checkpoint.adapter.revision
        self.about: dict = {}

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Apply the chat template and check that every turn is in the result."""
        found = self.chat.holding_control_tokens(conversations)
        if found:
            count, example = len(found), names[found[0]]
            log.warning("%d prompt(s) contain a control token of this model in their text, such as %s", count, example)
        self.about["prompts_with_control_tokens"] = len(found)
        return self.chat.render(conversations, names)

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Tokenise the prompts, check that they fit the context, and return their lengths in tokens."""
        self.ids = self.chat.encode(prompts, names, self.context(), self.decoding.max_new_tokens)
        return [len(row) for row in self.ids]

    def text_of(self, tokens: list[int]) -> str:
        """The text of a response."""
        return self.chat.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def settled(
        self, decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Callable[[int, list[int]], bool] | None:
        """Whether the response of a row, of which there are some tokens, may end; arguments as of `generate`."""
        if decided is None:
            return None

        @functools.lru_cache(maxsize=2**16)  # most responses start with the same few tokens
        def certain(tokens: tuple[int, ...]) -> bool:
            # the rest of a split character may still follow
            return decided(self.text_of(list(tokens)).rstrip("\ufffd"))

        return lambda row, tokens: not in_full[row] and certain(tuple(tokens))

    def context(self) -> int:
        """Most tokens of a prompt and its response together."""
        limits = [getattr(self.config.get_text_config(), "max_position_embeddings", None)]
        limits.append(self.chat.tokenizer.model_max_length)
        return min(int(limit) for limit in limits if limit)

    def provenance(self) -> dict:
        """Return identity, chat template, generation config that was ignored, devices and timings."""
        chat = self.chat
        ignored = {k: v for k, v in self.generation_config.items() if k not in ("eos_token_id", "transformers_version")}
        return {
            "backend": self.name,
            **self.identity,
            "folder": portable(self.checkpoint.folder),
            "adapter_folder": self.checkpoint.adapter and portable(self.checkpoint.adapter.folder),
            "files": checkpoints.files_of(self.checkpoint),
            "parameters": checkpoints.stored_parameters(self.checkpoint.folder),
            "source": checkpoints.source_of(self.checkpoint.folder),
            "architecture": (self.config.architectures or [None])[0],
            "gate": {
                "system_turn": chat.system,
                "system_role": chat.policy,
                "bos": chat.bos,
                "eos_ids": chat.eos_ids,
                "eos_tokens": chat.tokenizer.convert_ids_to_tokens(chat.eos_ids),
                "context": self.context(),
                "pad_token": chat.tokenizer.pad_token,
                "template_sha256": chat.template_sha256,
                "preamble": chat.preamble,
                "template_date": FIXED_DATE if "strftime_now" in chat.tokenizer.chat_template else None,
            },
            "ignored_generation_config": ignored,
            **self.about,
        }
