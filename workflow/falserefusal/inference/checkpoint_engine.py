"""What the engines for a checkpoint on this machine share: chat template, prompts in tokens, early decisions."""

import logging
from collections.abc import Callable

from falserefusal.common.errors import InputError
from falserefusal.common.hashes import portable
from falserefusal.inference import checkpoint as checkpoints
from falserefusal.inference.chat import FIXED_DATE, examine
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.reply import Ending
from falserefusal.inference.store import Response

log = logging.getLogger(__name__)


class CheckpointEngine:
    """Base of an engine that prompts a checkpoint through its own chat template, examined before the first prompt.

    Loads the tokenizer and the configuration at once, no weights.

    Parameters
    ----------
    model : dict
        What `checkpoint.locate` reads, `system_role` (see `Chat`), `thinking` (see `chat.examine`),
        `max_thinking_tokens` and `threads` (of the CPU; None: as torch chooses).
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
            self.chat = examine(tokenizer, eos, model["system_role"], model["thinking"])
        except InputError as error:
            raise InputError(f"model {model['model']}: {error}") from error
        self.thinking, self.max_thinking_tokens = model["thinking"], 0
        if self.chat.reply.thinks:  # other models are stored under what they were before there was thinking
            self.max_thinking_tokens = model["max_thinking_tokens"]
            self.identity = self.identity | {"max_thinking_tokens": self.max_thinking_tokens}
            self.identity |= {"thinking": "keep"} if self.thinking == "keep" else {}
        self._warn(model["model"])
        self.quantized = bool(self.checkpoint.quantization or getattr(self.config, "quantization_config", None))
        # in any precision but full float32 a response depends on its batch
        self.depends_on_batch = self.checkpoint.dtype != "float32" or self.quantized
        self.version = {"revision": self.checkpoint.revision, "chat template": f"sha256:{self.chat.template_sha256}"}
        if self.checkpoint.adapter:
            self.version["adapter"] = self.checkpoint.adapter.revision
        self.about: dict = {}

    def _warn(self, model: str) -> None:
        """Report what may be wrong with the chat template."""
        token = self.chat.tokenizer.bos_token
        if self.chat.adds_bos and self.chat.bos == "none":
            log.warning(
                "%s: its tokenizer writes BOS (%s) before a text, but its chat template writes none, so prompts have "
                "none; if the model was trained with it, put {{ bos_token }} at the start of the template",
                model,
                token,
            )
        if self.chat.header:
            log.warning(
                "%s: its chat template ends a prompt without the header of the reply; %r is added, as the template "
                "writes it in a conversation",
                model,
                self.chat.header,
            )

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
        self.ids = self.chat.encode(prompts, names, self.context(), self.longest)
        return [len(row) for row in self.ids]

    @property
    def longest(self) -> int:
        """Most tokens that a reply may have, with the thinking before the response."""
        return self.decoding.max_new_tokens + self.max_thinking_tokens

    def raw(self, tokens: list[int]) -> str:
        """The text of a reply with its control tokens."""
        return self.chat.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def response(self, row: int, tokens: list[int], reason: str, new_tokens: int) -> Response:
        """What is stored of the reply to a prepared prompt. A reply that ends inside its thinking has an empty text."""
        parts = self.chat.reply.read(self.raw(tokens))
        return Response(parts.response, reason, len(self.ids[row]), new_tokens, parts.thinking)

    def ending(self, decided: Callable[[str], bool] | None, in_full: list[bool]) -> Ending:
        """What decides where a reply ends; arguments as of `generate`."""
        limits = self.decoding.max_new_tokens, self.max_thinking_tokens
        return Ending(self.raw, self.chat.reply, *limits, decided, in_full)

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
                "tokenizer_adds_bos": chat.adds_bos,
                "eos_ids": chat.eos_ids,
                "eos_tokens": chat.tokenizer.convert_ids_to_tokens(chat.eos_ids),
                "context": self.context(),
                "pad_token": chat.tokenizer.pad_token,
                "template_sha256": chat.template_sha256,
                "preamble": chat.preamble,
                "header_added": chat.header or None,
                "thinking": self._thinking_record(),
                "template_date": FIXED_DATE if "strftime_now" in chat.tokenizer.chat_template else None,
            },
            "ignored_generation_config": ignored,
            **self.about,
        }

    def _thinking_record(self) -> dict | None:
        """What is known about the thinking of the model; None for a model that shows no sign of any."""
        chat = self.chat
        if not chat.reply.thinks:
            return None
        return {
            "setting": self.thinking,
            "switch": chat.switch.name if chat.switch else None,
            "switched": chat.setting or None,
            "at_the_end_of_a_prompt": chat.reply.begun or None,
            "max_thinking_tokens": self.max_thinking_tokens,
        }
