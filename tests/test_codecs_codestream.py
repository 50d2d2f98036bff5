"""Sound JPEG 2000 of every layout is read; what is not all there is refused."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from tests.good_files import COLOUR, bgr, saved

LARGE = np.kron(COLOUR, np.ones((12, 12, 1), np.uint8))
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tiles": {"tile_size": (100, 64)},
    "layers": {"quality_layers": [80, 40, 20, 10, 5, 1]},
    "precincts": {"precinct_size": (64, 64), "codeblock_size": (32, 32)},
    "by resolution": {"progression": "RPCL", "precinct_size": (128, 128), "quality_layers": [50, 5, 1]},
    "lengths": {"plt": True, "tile_size": (64, 100), "num_resolutions": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout):
    data = saved(Image.fromarray(LARGE), "JPEG2000", **LAYOUTS[layout])
    assert np.array_equal(codecs.decode(data).frames[0], bgr(LARGE))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tile_that_is_missing_is_told(layout):
    data = saved(Image.fromarray(LARGE), "JPEG2000", **LAYOUTS[layout])
    tile = data.rindex(b"\xff\x90\0\x0a")
    box = data.index(b"jp2c") - 4
    cut = data[:box] + (tile + 2 - box).to_bytes(4, "big") + data[box + 4 : tile] + b"\xff\xd9"
    with pytest.raises(ImageError, match=r"tiles are there|packets in") as caught:
        codecs.decode(cut)
    assert caught.value.kind is Kind.UNREADABLE
