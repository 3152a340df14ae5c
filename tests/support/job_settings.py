"""The settings of an inference job as a study gives them: the config's defaults with a test's own values."""

from falserefusal.inference import Decoding, model_settings
from falserefusal.study.config import Inference, Server


def settings(**own) -> dict:
    """A model's settings; `own` are entries of the models file, of `inference`, or `path`."""
    return model_settings({"model": "m", **own}, Inference().model_dump())[0]


def served(base_url: str, name: str = "m", **own) -> dict:
    """The settings of a model that the server at `base_url` knows as `name`; `own` are keys of `servers`."""
    return settings(backend="openai", server=Server(base_url=base_url, **own).model_dump() | {"model": name})


def decoding_with(**own) -> Decoding:
    """Decoding parameters."""
    return model_settings({"model": "m"}, Inference(**own).model_dump())[1]
