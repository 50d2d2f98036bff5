"""Edges: where brightness changes fast.

`edges` and `canny` are Canny's detector (J. Canny, *A computational approach to edge detection*, 1986):
gradients by Sobel kernels, thinned to ridges, kept where they are stronger than ``high`` or joined to such a
ridge by ones stronger than ``low``. A gradient's strength is the sum of its absolute components in 8-bit grey
(with ``l2``, its length).

`sobel` and `laplacian` show how strong the first and the second derivative are, in the depth of the picture.
Every kernel is divided by half the sum of its absolute weights: so black beside white is white in the
result. Brightness is that of BT.601, and at the border the picture is mirrored without its edge pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Channels, Depth, Doc, OneOf, Range, operation
from imgpipe.imaging.pixels import WHITE, Image, colour8, depth, grey, with_depth

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

Scale: TypeAlias = Annotated[
    float, Range(0.01, 100), Doc("multiplies the result, to make faint edges stronger")
]


@operation(
    version=1,
    example="edges",
    alpha=Alpha.DROPPED,
    depth=Depth.EIGHT,
    channels=Channels.COLOUR,
    colour8=True,
)
def edges(image: Image) -> Image:
    """Draws the edges in pure green on the picture at half brightness.

    The default. Grey, smoothed by a 3×3 box, goes through Canny's detector with thresholds 10 and 30 and a
    Sobel kernel of 5; every other pixel is half its value, truncated. The result is colour, 8 bits.
    """
    source = colour8(image)
    smooth = cv2.blur(cv2.cvtColor(source, cv2.COLOR_BGR2GRAY), (3, 3))
    found = cv2.Canny(smooth, 10, 30, apertureSize=5)
    # For uint8, `>> 1` is np.uint8(source / 2.) at a tenth of its time.
    half = np.right_shift(source, 1)
    nothing = np.zeros_like(found)  # Canny marks with 255: as green, already the colour wanted
    return cv2.copyTo(cv2.merge((nothing, found, nothing)), found, half)


def _crossed(*, low: float, high: float, **_: Any) -> str:
    """OpenCV would swap them without a word."""
    return f"low, {low:g}, is above high, {high:g}" if low > high else ""


@operation(
    version=1,
    example="canny:low=50,high=150",
    alpha=Alpha.DROPPED,
    depth=Depth.EIGHT,
    channels=Channels.GREY,
    luma=True,
    check=_crossed,
)
def canny(
    image: Image,
    *,
    low: Annotated[float, Range(0, 100_000), Doc("gradients below this are no edge")] = 100.0,
    high: Annotated[float, Range(0, 100_000), Doc("gradients above this are an edge")] = 200.0,
    aperture: Annotated[int, OneOf(3, 5, 7), Doc("side of the Sobel kernel in pixels")] = 3,
    l2: Annotated[bool, Doc("measure gradients by their length, not by their sum")] = False,
) -> Image:
    """Finds edges with Canny's detector: white on black.

    The result is grey, 8 bits. Larger apertures give larger gradients: raise the thresholds with them.
    """
    return cv2.Canny(with_depth(grey(image), "uint8"), low, high, apertureSize=aperture, L2gradient=l2)


@operation(version=1, example="sobel:scale=2", alpha=Alpha.SEEN, channels=Channels.GREY, luma=True)
def sobel(
    image: Image,
    *,
    direction: Annotated[
        str,
        OneOf("both", "horizontal", "vertical"),
        Doc("of the change that is shown: horizontal shows upright edges; both is the gradient's length"),
    ] = "both",
    aperture: Annotated[int, OneOf(3, 5, 7), Doc("side of the Sobel kernel in pixels")] = 3,
    scale: Scale = 1.0,
) -> Image:
    """Shows how steep brightness is, with Sobel's kernels: edges are light on black.

    The absolute value of the change, or the length of the gradient (I. Sobel and G. Feldman, *A 3×3 isotropic
    gradient operator*, 1968). Depth is kept.
    """
    source = grey(image)
    if direction == "horizontal":
        slope = _derived(source, 1, 0, aperture)
    elif direction == "vertical":
        slope = _derived(source, 0, 1, aperture)
    else:
        slope = _length(_derived(source, 1, 0, aperture), _derived(source, 0, 1, aperture))
    return _magnitude(slope, scale, depth(image))


@operation(version=1, example="laplacian:scale=4", alpha=Alpha.SEEN, channels=Channels.GREY, luma=True)
def laplacian(
    image: Image,
    *,
    aperture: Annotated[int, OneOf(1, 3, 5, 7), Doc("side of the kernel in pixels; 1 is a cross of 3")] = 1,
    scale: Scale = 1.0,
) -> Image:
    """Shows fine lines and edges in every direction: how much a pixel differs from those around it.

    The absolute value of the Laplace operator: with 1 by the kernel 0 1 0, 1 -4 1, 0 1 0, above by the sum of
    Sobel's second derivatives. Depth is kept.
    """
    source = grey(image)
    curve = cv2.add(_derived(source, 2, 0, aperture), _derived(source, 0, 2, aperture))
    return _magnitude(curve, scale, depth(image))


def _derived(source: Image, across: int, down: int, aperture: int) -> Image:
    """A derivative of these orders along x and y, float32, in the values of ``source``."""
    x, y = map(np.ravel, cv2.getDerivKernels(across, down, aperture, ktype=cv2.CV_64F))
    side = max(len(x), len(y))  # an aperture of 1 is a kernel of 3 × 1
    whole = np.outer(np.pad(x, (side - len(x)) // 2), np.pad(y, (side - len(y)) // 2))
    if across + down == 2:  # half of the Laplace operator
        whole = whole + whole.T
    return cv2.sepFilter2D(source, cv2.CV_32F, x * (2 / np.abs(whole).sum()), y)


def _length(x: Image, y: Image) -> Image:
    """√(x² + y²), in place. That of OpenCV differs in the last bit from call to call."""
    with np.errstate(over="ignore"):
        return np.sqrt(np.add(np.square(x, out=x), np.square(y, out=y), out=x), out=x)


def _magnitude(derivative: Image, scale: float, wanted: str) -> Image:
    """Absolute values of float32, scaled, as pixels of depth ``wanted``; integers are clipped at white."""
    with np.errstate(over="ignore"):
        magnitude: Image = np.abs(np.multiply(derivative, scale, out=derivative), out=derivative)
    if wanted == "float32":
        return magnitude
    return np.rint(np.minimum(magnitude, WHITE[wanted], out=magnitude), out=magnitude).astype(wanted)
