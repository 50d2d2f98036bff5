"""Judgements on what our codecs make of a file: `check` and `refused`, in Pillow's order of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from tests.encoders import RGB_ORDER


def rgb(image: Any) -> Any:
    return image if image.ndim == 2 else image[:, :, RGB_ORDER[: image.shape[2]]]


def decoded(data: bytes) -> Any:
    """The first frame, in Pillow's order of channels."""
    return rgb(codecs.decode(data).frames[0])


def check(data: bytes, wanted: Any, bound: float = 0.0) -> None:
    found = decoded(data)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(float) - wanted.astype(float)).max() <= bound


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        codecs.decode(data)
    assert caught.value.kind is Kind.UNREADABLE
    return caught.value.message
