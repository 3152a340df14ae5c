"""Marks of tests that load a model into vLLM."""

import pytest

from falserefusal.common.errors import InputError
from falserefusal.inference.vllm_engine import installed_version


def _missing() -> bool:
    try:
        return not installed_version()
    except InputError:
        return True


NEEDS_VLLM = [pytest.mark.vllm, pytest.mark.skipif(_missing(), reason="vLLM is not installed here: make test-vllm")]
