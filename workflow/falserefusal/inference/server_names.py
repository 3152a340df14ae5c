"""Whether a server answers with the model that it was asked for: the many names of one model."""

import re

# What a name in a reply may have in addition: a date or number of a snapshot, a revision, a tag, a quantised file.
SNAPSHOT = r"[-@:](latest|v?\d{3,8}([-.]\d{2}){0,2}|\d{4}(-\d{2}){1,2}|v\d+(:\d+)?|\d{2}-\d{2}(-\d{4})?)"
REVISION = r"@[^/@]+"
INSTANCE = r":\d{1,2}"
QUANTISED = r"([-_.]gguf)?([-_.:](i?q\d\w*|bf16|f16|fp16|f32|fp8|fp4|mxfp4\w*))?(-\d{5}-of-\d{5})?(\.gguf)?"
ADDED = re.compile(f"({SNAPSHOT}|{REVISION}|{INSTANCE}|{QUANTISED})*")
ROUTED = re.compile(r":(free|nitro|floor|latest)$|-latest$")  # says which computer answers, or "the newest"


def same_model(asked: str, reported: str) -> bool:
    """Whether a reply that reports the model `reported` can come from the model `asked`.

    Case, a provider's prefix and the folder of a file do not matter. The reported name may have more: the date of a
    snapshot, a revision, a tag, or the quantisation of a file.
    """
    wanted, said = _parts(asked), _parts(reported)
    file = _is_path(asked) or _is_path(reported)
    common = min(len(wanted), len(said))
    if not file and wanted[-common:-1] != said[-common:-1]:  # of two providers, or of two people
        return False
    name = ROUTED.sub("", wanted[-1]).removesuffix(".gguf")
    more = ROUTED.sub("", said[-1])
    return bool(name) and more.startswith(name) and ADDED.fullmatch(more[len(name) :]) is not None


def _parts(name: str) -> list[str]:
    parts = name.strip().lower().replace("\\", "/").strip("/").split("/")
    return [part for part in parts[:-1] if part != "models"] + parts[-1:]


def _is_path(name: str) -> bool:
    return bool(re.match(r"[/~.\\]|[A-Za-z]:[/\\]", name.strip())) or name.lower().endswith(".gguf")
