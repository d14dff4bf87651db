"""How far a picture is from the photo that it restores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_LEVELS = 255.0
# Wang et al. 2004: a Gaussian window of 1.5 px and 11 px wide, and constants (0.01 L)^2 and (0.03 L)^2.
_SIGMA, _RADIUS = 1.5, 5
_C1, _C2 = (0.01 * _LEVELS) ** 2, (0.03 * _LEVELS) ** 2
_LUMA = np.array([0.299, 0.587, 0.114])

Pictures = NDArray[np.uint8]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Of each of n pictures against its photo."""

    levels: Values
    """float64 [n], mean absolute difference in levels of 0 to 255."""
    psnr: Values
    """float64 [n], peak signal-to-noise ratio in dB; of equal pictures that of a single level in a single value."""
    ssim: Values
    """float64 [n], structural similarity of the luma (Wang et al. 2004), 1 for equal pictures."""


def errors(restored: Pictures, photos: Pictures) -> Errors:
    """Compare pictures uint8 [n, H, W, 3], RGB, with photos of the same shape."""
    assert restored.shape == photos.shape, "a picture is compared with its photo"
    difference = restored.astype(np.float64) - photos
    per_picture = (1, 2, 3)
    # An infinite ratio has no mean.
    squared = np.maximum((difference**2).mean(axis=per_picture), 1 / difference[0].size)
    return Errors(
        levels=np.abs(difference).mean(axis=per_picture),
        psnr=10 * np.log10(_LEVELS**2 / squared),
        ssim=np.array([_ssim(one @ _LUMA, other @ _LUMA) for one, other in zip(restored, photos, strict=True)]),
    )


def _ssim(x: Values, y: Values) -> float:
    """Of two planes [H, W] in levels."""

    def local(plane: Values) -> Values:
        blurred: Values = gaussian_filter(plane, _SIGMA, radius=_RADIUS, mode="reflect")
        return blurred

    mu_x, mu_y = local(x), local(y)
    var_x, var_y, covariance = local(x * x) - mu_x**2, local(y * y) - mu_y**2, local(x * y) - mu_x * mu_y
    similar = (2 * mu_x * mu_y + _C1) * (2 * covariance + _C2)
    return float((similar / ((mu_x**2 + mu_y**2 + _C1) * (var_x + var_y + _C2))).mean())
