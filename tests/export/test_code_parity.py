"""Codes to hold graphs to their networks by, and how far apart codes are."""

from __future__ import annotations

import json

import numpy as np

from exportface.code_parity import measure_codes, sample_photos
from exportface.mixer_parity import codes_like


def test_codes_to_try_a_decoder_on_are_like_those_of_photos() -> None:
    codes = np.random.default_rng(0).normal([3.0, -1.0], [0.5, 2.0], (500, 2)).astype(np.float32)
    drawn = codes_like(codes)(range(4000))
    assert drawn.dtype == np.float32
    # Standard errors of 4,000 draws: 2 / 63 for the mean and 2 / 89 for the deviation; six of them.
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(drawn.std(axis=0), codes.std(axis=0), atol=0.14)
    np.testing.assert_array_equal(drawn[5:9], codes_like(codes)(range(5, 9)))


def test_a_code_that_is_no_number_is_a_difference() -> None:
    codes = np.ones((32, 2), dtype=np.float32)
    bad = codes.copy()
    bad[7, 1] = np.nan
    photos = sample_photos(16)
    parity = measure_codes(codes, lambda part: bad, photos, batches=(32,))
    assert parity.failures
    assert json.dumps(parity.to_dict(), allow_nan=False)
    assert measure_codes(np.zeros_like(codes), lambda part: codes * 0, photos, batches=(32,)).failures == []
