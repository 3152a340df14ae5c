"""The decoding parameters of a run, all of them explicit."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Decoding:
    """All decoding parameters, as the config gives them; none is taken from a checkpoint's generation config."""

    max_new_tokens: int
    temperature: float  # 0: greedy
    top_p: float
    seed: int

    @property
    def parameters(self) -> dict:
        """The parameters that can change a response; under greedy decoding seed and top_p cannot."""
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "temperature": 0.0}
        return dataclasses.asdict(self)
