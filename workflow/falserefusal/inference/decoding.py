"""The decoding parameters of a run, all of them explicit."""

import dataclasses

from falserefusal.common.errors import InputError


@dataclasses.dataclass(frozen=True)
class Decoding:
    """All decoding parameters; none is taken from a checkpoint's generation config."""

    max_new_tokens: int = 128
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.max_new_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1 or self.seed < 0:
            raise InputError(f"decoding: {self} needs max_new_tokens >= 1, temperature >= 0, 0 < top_p <= 1, seed >= 0")

    @property
    def parameters(self) -> dict:
        """The parameters that can change a response; under greedy decoding seed and top_p cannot."""
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "temperature": 0.0}
        return dataclasses.asdict(self)
