"""Beam's pipeline options, as Beam spells them: which there are, what they take, and on which runners we run.

What Beam's own parsers say of an option is looked up in them, so that nothing here is out of date with Beam.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

from tfloom.feature_specs.errors import SpecError, nearest

RUNNERS = ("DataflowRunner", "FlinkRunner", "SparkRunner", "PrismRunner", "PortableRunner", "FnApiRunner")

COMMON: Mapping[str, tuple[str, ...]] = {
    "The job": ("runner", "project", "region", "job_name", "temp_location", "staging_location", "labels"),
    "Its workers": (
        "machine_type", "num_workers", "max_num_workers", "autoscaling_algorithm", "disk_size_gb", "worker_disk_type",
        "min_cpu_platform", "worker_zone", "network", "subnetwork", "no_use_public_ips", "service_account_email",
        "number_of_worker_harness_threads",
    ),
    "The service": ("flexrs_goal", "dataflow_service_options", "experiments", "dataflow_kms_key"),
    "What workers install": ("sdk_container_image", "sdk_location", "setup_file", "extra_package", "requirements_file"),
    "Portable runners": (
        "job_endpoint", "environment_type", "environment_config", "sdk_worker_parallelism", "prism_location",
        "flink_master", "flink_version", "flink_job_server_jar", "parallelism", "spark_master_url", "spark_version",
        "spark_job_server_jar",
    ),
}  # fmt: skip
"""The options that people set, by what they are about: those that the help shows. Beam has many more, all passed on."""

_NOTES = {
    "runner": f"What runs the job: one of {', '.join(RUNNERS)}. Left out, this machine does, without Beam.",
    "labels": "Labels of the job, a --labels key=value each.",
    "dataflow_service_options": "Features of the service, such as enable_prime or enable_google_cloud_profiler.",
    "experiments": "Such as shuffle_mode=appliance, which shuffles on the workers' disks and not in the service.",
    "sdk_location": "Where Beam is to be had: `container` where the image has it.",
    "worker_zone": "The Compute Engine zone of the workers, such as us-west1-a; left out, the service chooses one.",
    "setup_file": "Our setup.py: a source distribution is built of its folder, which each worker installs.",
    "extra_package": "A wheel or a source distribution of ours, built before, which each worker installs.",
    "flink_master": "Flink's address, http://HOST:PORT; [local] starts a cluster for the job alone.",
    "spark_master_url": "Spark's address, spark://HOST:PORT; local[*] starts a cluster for the job alone.",
}
"""Where what Beam says is of little help here."""

_REFUSED = {
    "dry_run": "Beam's own checks nothing; --dry-run shows the graph, and what was checked",
    "streaming": "the job is a batch job: what is learned, is learned of all rows",
    "update": "the job is a batch job, which no other one replaces",
    "no_wait_until_finish": "what the job wrote is published when it has ended, by the command that waits for it",
    "output_executable_path": "the job would not run, and there would be nothing to publish",
    "save_main_session": "nothing of the job lies in a main session",
}

_INSTALLS = (
    "sdk_container_image", "setup_file", "extra_packages", "requirements_file", "prebuild_sdk_container_engine"
)  # fmt: skip
"""By any of these workers get tfloom."""


def option(name: str) -> argparse.Action | None:
    """What Beam's parsers know of an option, which is given without its dashes."""
    return _parser()._option_string_actions.get(f"--{name}")


def names() -> Iterator[str]:
    """Every option of Beam, with its dashes."""
    return (name for name in _parser()._option_string_actions if name.startswith("--") and name != "--help")


def help_of(name: str) -> str:
    """What an option means."""
    action = option(name)
    if action is None:
        raise LookupError(f"Beam has no option --{name}")
    choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
    told = " ".join((_NOTES.get(name) or action.help or "").split())
    # Beam's further sentences are of cases that are rare.
    return (told if name in _NOTES else told.partition(". ")[0].rstrip(".") + ".") + choices


def divided(arguments: Sequence[str], ours: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """Command line arguments as (ours, Beam's options).

    ours: options that are ours, with their dashes, and whether each takes a value.

    Raises:
      SpecError: where an option is neither's.
    """
    mine: list[str] = []
    beams: list[str] = []
    left = list(arguments)
    while left:
        one = left.pop(0)
        name, equals, _ = one.partition("=")
        if one == "--":
            return [*mine, one, *left], beams
        if not one.startswith("--") or name in ours:
            mine.append(one)
            # A short option may have its value in it: -oOUT.
            if left and not equals and ours.get(name):
                mine.append(left.pop(0))
            continue
        action = _parser()._option_string_actions.get(name)
        if action is None or name == "--help":
            known = [option for option in ours if option.startswith("--")]
            known += difflib.get_close_matches(name, names(), n=1)
            raise SpecError(f"{name}: there is no such option", expected=nearest(name, known), received=one)
        beams.append(one)
        if action.nargs is None and not equals:
            if not left:
                raise SpecError(f"{name}: lacks its value", expected=f"{name} VALUE", received=one)
            beams.append(left.pop(0))
    return mine, beams


def checked(options: Sequence[str], *, held: bool = False) -> PipelineOptions:
    """Options of which Beam knows each, for a runner that we run on.

    held: whether it is others who start the job, from `--template_location`.

    Raises:
      SpecError: where an option is none of Beam's or lacks what it needs, or a job could not run by them.
    """
    known, unknown = _parser().parse_known_args(list(options))
    if unknown:
        name = unknown[0].partition("=")[0]
        raise SpecError(f"{name}: is no option of Beam", expected=nearest(name, names()), received=" ".join(unknown))
    for name, reason in _REFUSED.items():
        if getattr(known, name, None):
            raise SpecError(f"--{name}: is not for this job", expected=reason, received=f"--{name}")
    if bool(known.template_location) != held:
        raise SpecError("--template_location: holds a job that others start, which publishes its output itself",
                        expected="the option on the command line, or with tfloom.api.template",
                        received=known.template_location or "no option")  # fmt: skip
    runner = _runner(known.runner)
    if runner == "DataflowRunner":
        _dataflow(known)
    # The last one counts.
    return PipelineOptions([*options, f"--runner={runner}"])


def _runner(name: str | None) -> str:
    if name is None:
        raise SpecError("--runner: is missing, and without it Beam's options are of no use",
                        expected=f"--runner with one of: {', '.join(RUNNERS)}", received="options of Beam")  # fmt: skip
    # As Beam has it: in any case, with or without its ending.
    by_word = {runner.lower(): runner for runner in RUNNERS}
    word = name.lower().removesuffix("runner") + "runner"
    if word == "directrunner":
        return "FnApiRunner"  # which is what runs in the end; DirectRunner would first try one that it must download
    if word == "daskrunner":
        raise SpecError("--runner: DaskRunner of Beam cannot run the job: it fails even where it is to count rows",
                        expected=f"one of: {', '.join(RUNNERS)}", received=name)  # fmt: skip
    if word not in by_word:
        raise SpecError(f"--runner: {name!r} is none that we run on", expected=nearest(name, RUNNERS), received=name)
    return by_word[word]


def _dataflow(known: argparse.Namespace) -> None:
    needed = {"project": known.project, "temp_location": known.temp_location,
              "region": known.region or os.environ.get("CLOUDSDK_COMPUTE_REGION")}  # fmt: skip
    missing = [f"--{name}" for name, value in needed.items() if not value]
    if missing:
        raise SpecError(f"--runner DataflowRunner: needs {' and '.join(missing)} too",
                        expected="--project PROJECT --region REGION --temp_location gs://BUCKET/FOLDER",
                        received=", ".join(f"--{name}" for name, value in needed.items() if value) or "none of them",
                        )  # fmt: skip
    if not any(getattr(known, name) for name in _INSTALLS):
        raise SpecError("--runner DataflowRunner: its workers would have no tfloom",
                        expected="--sdk_container_image IMAGE, --extra_package WHEEL or --setup_file ./setup.py "
                        "(see docs/dataflow.md)", received="none of them")  # fmt: skip


class _Parser(_BeamArgumentParser):
    """Beam's, whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print: `argument --num_workers: invalid int value: 'many'`."""
        name, _, wrong = message.removeprefix("argument ").partition(": ")
        action = self._option_string_actions.get(name.partition("/")[0])
        expected = "a whole number" if action is not None and action.type is int else "what Beam's documentation says"
        if action is not None and action.choices:
            expected = f"one of: {', '.join(map(str, action.choices))}"
        raise SpecError(f"{name}: cannot be read", expected=expected, received=wrong or message)


@functools.cache
def _parser() -> _Parser:
    """Every option of Beam; values of an option are told by its whole name alone."""
    parser = _Parser(prog="tfloom preprocess", allow_abbrev=False)
    # A class that was reloaded is there twice.
    for of in {cls.__qualname__: cls for cls in PipelineOptions.__subclasses__()}.values():
        of._add_argparse_args(parser)
    return parser
