"""A set of faces is built and read in much less memory than its pictures take.

Measured in a process of its own, by what Linux tells of it: the peak of the resident set while the cache is built, and,
while every face is read through the memory map, the anonymous part of it. The pages of the map itself are the system's:
it takes them back when memory is short, so that they are not counted in reading.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = 128
COUNT = 1500
PICTURES_MB = COUNT * SIZE * SIZE * 3 / 1e6  # 74

_MEASURE = """
import json, sys
import numpy as np
from genface.photos import Preparation
from trainface.data.dataset import open_faces

def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1e3

few, many, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
open_faces(few, Preparation(size=size)).images[:].sum()  # decoders and threads take their memory here
peak, anonymous = status("VmHWM"), status("RssAnon")
faces = open_faces(many, Preparation(size=size))
built = status("VmHWM") - peak
highest = 0.0
for start in range(0, len(faces), 64):
    batch = np.asarray(faces.images[start : start + 64]).astype(np.float32)
    highest = max(highest, status("RssAnon") - anonymous)
print(json.dumps({"built": built, "read": highest, "n": len(faces)}))
"""


def zip_of(path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((SIZE, SIZE)).save(buffer, "jpeg")
            archive.writestr(f"{index:06d}.jpg", buffer.getvalue())
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_neither_building_nor_reading_takes_the_memory_of_the_pictures(tmp_path: Path) -> None:
    few, many = zip_of(tmp_path / "few.zip", 40), zip_of(tmp_path / "many.zip", COUNT)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, few, many, str(SIZE)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TRAINFACE_CACHE": str(tmp_path / "cache")},
    )
    measured = json.loads(done.stdout)
    assert measured["n"] == COUNT
    # Seen: about 5 MB for building and 14 MB for a batch of 64 as float32; a copy of the pictures would be 74 MB.
    assert measured["built"] < PICTURES_MB / 3
    assert measured["read"] < 64 * SIZE * SIZE * 3 * 4 / 1e6 + 15
