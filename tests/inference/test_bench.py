from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_genface.py"


def test_the_benchmark_ends_in_json_and_needs_no_torch(tiny: Path) -> None:
    refuse_torch = f"import runpy, sys; sys.modules['torch'] = None; sys.argv[0] = {str(BENCHMARK)!r};"
    run = f"runpy.run_path({str(BENCHMARK)!r}, run_name='__main__')"
    command = [sys.executable, "-c", refuse_torch + run, "--model", str(tiny), "--n", "40", "--rounds", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(result.stdout.splitlines()[-1])
    assert set(report["images_per_second"]) == {"genface", "model_alone", "encoding_alone"}
    assert all(len(times) == 2 for times in report["seconds"].values())
    assert report["ratio_to_torch"] is None

    missing = subprocess.run([*command, "--torchscript", "gen.ts"], capture_output=True, text=True, check=False)
    assert missing.returncode != 0
    assert "--torchscript needs torch and torchvision" in missing.stderr
