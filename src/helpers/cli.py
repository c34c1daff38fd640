"""The console command `study`: run a parameter file or variants of it, check, see where a run stands, simulate.

This module stands above all rooms and is the only one that knows both the runner and the report. A command imports the
rooms that it needs itself: all of them together take seconds to load.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from helpers.phantom import CLASS_KEYS, ORIENTATIONS, Correlation, PhantomSpec, simulate_cohort
from helpers.study import ArtefactError, CohortParams, ExternalCohort, ParameterError, Run, load_study
from helpers.study.artefacts import PARAMS_FILE
from helpers.study.errors import GO_ON, StudyError, storage_fault
from helpers.study.params import NAMED_WEIGHTS, is_named_weights
from helpers.study.paths import project_file, short_path
from helpers.study.progress import Screen
from helpers.study.stages import STAGES, find_stage, fingerprints, partial_notebook, read_records, why_stale
from helpers.study.terminal import TextConsole

#: Images per patient of a simulated cohort unless the user says how many patients.
IMAGES_PER_PATIENT = 2
INTERRUPTED = 130
#: Exit status of a question about runs that could not be answered; 1 is a no.
UNANSWERED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `study`; the exit status is 0, 130 after Ctrl-C, or 1 after an error with a message.

    `compare` and `verify` answer a question: for them 1 is "no", and 2 that they could not answer it.
    """
    options = _parser().parse_args(arguments)
    console = TextConsole(highlight=False)
    try:
        return options.command(options, console)
    except (StudyError, OSError) as error:
        message = storage_fault(error) if isinstance(error, OSError) else str(error)
        if message is None:
            raise
        TextConsole(stderr=True, highlight=False).print(
            f"study: {message}", style="bold red", markup=False, soft_wrap=True
        )
        return options.error_status
    except KeyboardInterrupt:
        # nbclient leaves tasks behind that asyncio would report with tracebacks as never retrieved
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        console.print(f"Stopped. {GO_ON}")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="study", description="Run the thoracolumbar fracture study.")
    parser.set_defaults(error_status=1)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run the notebooks and build the report"))
    _add_run_folder(commands)
    _add_runs(commands)
    _add_sweep(commands.add_parser("sweep", help="train variants of a study and compare them in one table"))
    register = commands.add_parser(
        "register-weights", help="keep a network trained on simulated images as the initialisation `phantom`"
    )
    register.add_argument("run", help="name in runs/, or a run folder, such as pretrain_phantom")
    register.set_defaults(command=_register_weights)
    _add_phantom(commands.add_parser("phantom", help="write a simulated CT cohort as DICOM files"))
    return parser


def _add_study(parser: argparse.ArgumentParser) -> None:
    """The parameter file, and changes to it."""
    parser.add_argument("params", help="parameter file, for example params/default.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.NAME=VALUE")


def _add_run(run: argparse.ArgumentParser) -> None:
    _add_study(run)
    stage_names = ", ".join(stage.key for stage in STAGES)
    part = run.add_mutually_exclusive_group()
    part.add_argument(
        "--from", dest="first", metavar="STAGE", help=f"run this stage and all later ones afresh: {stage_names}"
    )
    part.add_argument("--only", metavar="STAGE", help="consider this stage alone")
    run.add_argument("--force", action="store_true", help="run stages afresh even if they are up to date")
    run.set_defaults(command=_run)


def _add_run_folder(commands: argparse._SubParsersAction) -> None:
    """Commands about one study or one run folder."""
    check = commands.add_parser("check", help="validate a parameter file without running it")
    _add_study(check)
    check.set_defaults(command=_check)
    status = commands.add_parser("status", help="show which stages of a run are up to date")
    report = commands.add_parser("report", help="build the report of a run again")
    export = commands.add_parser("export", help="write tables of a run that can be shared, without what identifies")
    for parser, command in ((status, _status), (report, _report), (export, _export)):
        parser.add_argument("run", nargs="?", default="default", help="name in runs/, or a run folder")
        parser.set_defaults(command=command)
    export.add_argument("--out", required=True, metavar="DIR", help="folder to make; must not exist")


def _add_sweep(sweep: argparse.ArgumentParser) -> None:
    sweep.add_argument("file", help="sweep file, for example params/ablation.yaml")
    sweep.add_argument("--only", metavar="ROW", help="train this row alone; the table still shows all")
    sweep.add_argument("--status", action="store_true", help="show which rows are up to date, and train none")
    sweep.add_argument("--strict", action="store_true", help="exit with 1 if any row fails, not only if all do")
    sweep.set_defaults(command=_sweep)


def _add_runs(commands: argparse._SubParsersAction) -> None:
    """Commands about finished runs."""
    commands.add_parser("list", help="list all runs with their results").set_defaults(command=_list)

    compare = commands.add_parser("compare", help="say in what two runs differ, and how far their results are apart")
    compare.add_argument("first", metavar="RUN_A", help="name in runs/, or a run folder")
    compare.add_argument("second", metavar="RUN_B")
    compare.add_argument("--html", metavar="FILE", help="also write a page with all metrics, images and cells")
    compare.set_defaults(command=_compare, error_status=UNANSWERED)

    verify = commands.add_parser("verify", help="check that the numbers of a run follow from its predictions")
    verify.add_argument("run", nargs="?", default="default", help="name in runs/, or a run folder")
    verify.add_argument("--against", metavar="FILE", help="released numbers, such as reports/default_metrics.json")
    verify.set_defaults(command=_verify, error_status=UNANSWERED)


def _add_phantom(phantom: argparse.ArgumentParser) -> None:
    phantom.add_argument("--out", required=True, metavar="DIR", help="the cohort becomes DIR/phantom-<hash>")
    default = PhantomSpec()
    for key in CLASS_KEYS:
        phantom.add_argument(
            f"-{key}", type=int, default=default.images[key], metavar="N", help=f"images of class {key} (%(default)s)"
        )
    phantom.add_argument("--patients", type=int, metavar="N", help="by default half as many as images")
    phantom.add_argument("--seed", type=int, default=default.seed)
    phantom.add_argument("--plane", choices=ORIENTATIONS, default=default.orientation)
    phantom.add_argument("--seg", action="store_true", help="also write the truth masks as DICOM Segmentations")
    phantom.add_argument(
        "--scanner-by-class",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="0: none; 1: each class has its own scanner",
    )
    phantom.add_argument("--workers", type=int, default=2, help="processes; the files do not depend on it")
    phantom.set_defaults(command=_phantom)


def _run(options: argparse.Namespace, console: Console) -> int:
    from helpers.reporting import build_report, check_inputs
    from helpers.study.runner import Plan, run_study

    study = load_study(options.params, overrides=options.overrides)
    check_inputs(study.study)
    folder = project_file(f"runs/{study.study.name}")
    plan = Plan(
        first=find_stage(options.first) if options.first else None,
        only=find_stage(options.only) if options.only else None,
        force=options.force,
    )
    console.print(f"Study {study.study.name!r} in {short_path(folder)}", markup=False)
    with Screen(console) as screen:
        run_study(study, folder, screen=screen, build_report=build_report, plan=plan)
    _print_result(folder, console)
    return 0


def _print_result(folder: Path, console: Console) -> None:
    from helpers.evaluation import headline

    metrics = folder / "metrics.json"
    if metrics.is_file():
        console.print(headline(Run(folder).read_json("metrics")), markup=False, style="bold")
    report = folder / "report.html"
    if report.is_file():
        console.print(f"Report: {short_path(report)}", markup=False, soft_wrap=True)


def _check(options: argparse.Namespace, console: Console) -> int:
    from helpers.reporting import check_inputs

    study = load_study(options.params, overrides=options.overrides)
    check_inputs(study.study)
    cohorts = {"cohort": study.cohort} | {f"external {cohort.name}": cohort for cohort in study.external.external}
    for section, cohort in cohorts.items():
        _check_paths(cohort, where=f"{options.params}: {section}")
    weights = study.training.weights
    if not is_named_weights(weights) and not project_file(weights).is_file():
        names = f"{', '.join(NAMED_WEIGHTS)}, or a torchvision enum such as IMAGENET1K_V1"
        raise ParameterError(f"{options.params}: training.weights: {weights!r} is no file, and none of {names}")
    for section, cohort in cohorts.items():
        if cohort.source != "phantom":
            _check_labels(cohort, where=section, console=console)
    console.print(f"{options.params}: valid; study {study.study.name!r}", markup=False)
    return 0


def _check_labels(cohort: CohortParams, *, where: str, console: Console) -> None:
    """Say what the labels hold, without opening an image: rows in order by class, and the others by reason."""
    from helpers.cohort import open_source

    labelled = open_source(cohort).labelled()
    classes = Counter(entry.label for entry in labelled.entries)
    reasons = Counter(item.reason.value for item in labelled.exclusions)
    good = ", ".join(f"{key} {name} {classes[key]}" for key, name in cohort.class_names.items())
    words = f"{where}: {classes.total()} labelled images in order ({good})"
    if reasons:
        bad = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        first = labelled.exclusions[0]
        words += f"; not in order: {bad}; for example {first.source}: {first.detail}"
    console.print(words, markup=False, soft_wrap=True)
    missing = [f"{key} ({name})" for key, name in cohort.class_names.items() if not classes[key]]
    # an external cohort is scored on the classes that it has
    if missing and not isinstance(cohort, ExternalCohort):
        raise ParameterError(
            f"{where}: no image is labelled {', '.join(missing)}; take out of class_names what this cohort lacks"
        )


def _check_paths(cohort: CohortParams, *, where: str) -> None:
    from helpers.cohort.sources import phantom_spec

    if cohort.source == "phantom":
        phantom_spec(cohort)
        return
    for name in ("folder", "labels"):
        path = getattr(cohort, name)
        if path is not None and not project_file(path).exists():
            raise ParameterError(f"{where}.{name}: {path} does not exist")


def _status(options: argparse.Namespace, console: Console) -> int:
    folder = _run_folder(options.run)
    wanted, records = fingerprints(Run(folder).study), read_records(folder)
    table = Table("stage", "state", "finished", "seconds")
    for stage in STAGES:
        record = records.get(stage.key)
        state = why_stale(stage, folder, record=record, fingerprint=wanted[stage.key]) or "up to date"
        if partial_notebook(folder, stage.key).is_file():
            state = "stopped before its end"
        table.add_row(stage.key, state, record.finished if record else "", f"{record.seconds:.0f}" if record else "")
    console.print(table)
    return 0


def _report(options: argparse.Namespace, console: Console) -> int:
    from helpers.reporting import build_report

    path = build_report(_run_folder(options.run))
    console.print(f"Report: {short_path(path)}", markup=False, soft_wrap=True)
    return 0


def _list(_: argparse.Namespace, console: Console) -> int:
    from helpers.runs import list_runs, terminal

    terminal.print_runs(list_runs(project_file("runs")), console)
    return 0


def _compare(options: argparse.Namespace, console: Console) -> int:
    from helpers.runs import compare_runs, page, terminal

    found = compare_runs(_run_folder(options.first), _run_folder(options.second))
    terminal.print_comparison(found, console)
    if options.html:
        command = f".venv/bin/study compare {options.first} {options.second} --html {options.html}"
        file = page.write_comparison(found, project_file(options.html), command=command)
        console.print(f"Page: {short_path(file)}", markup=False, soft_wrap=True)
    return 0


def _verify(options: argparse.Namespace, console: Console) -> int:
    from helpers.runs import terminal, verify_run

    against = project_file(options.against) if options.against else None
    found = verify_run(_run_folder(options.run), against=against)
    terminal.print_verification(found, console, against=options.against)
    return 0 if found.holds else 1


def _export(options: argparse.Namespace, console: Console) -> int:
    from helpers.reporting.export import export_run

    folder = export_run(Run(_run_folder(options.run)), project_file(options.out))
    console.print(f"Tables to share: {short_path(folder)}; REMOVED.md says what is not in them", markup=False)
    return 0


def _sweep(options: argparse.Namespace, console: Console) -> int:
    from helpers import sweep as rooms

    sweep = rooms.load_sweep(options.file)
    folder = project_file(f"runs/{sweep.name}")
    if options.status:
        states = Table("row", "state", "changes")
        for row in sweep.rows:
            states.add_row(row.name, rooms.row_problem(row, folder) or "up to date", row.changes_in_words)
        console.print(states)
        return 0
    with Screen(console) as screen:
        problems = rooms.run_rows(sweep, folder, screen=screen, only=options.only)
    page = rooms.write_sweep(sweep, folder, problems=problems, file=options.file)
    console.print(f"Sweep: {short_path(page)}", markup=False, soft_wrap=True)
    asked = {options.only} if options.only else {row.name for row in sweep.rows}
    failed = asked & set(problems)
    return int(failed == asked or (options.strict and bool(failed)))


def _phantom_spec(options: argparse.Namespace) -> PhantomSpec:
    images = {key: getattr(options, key) for key in CLASS_KEYS}
    default = max(1, -(-sum(images.values()) // IMAGES_PER_PATIENT))
    if options.workers < 1:
        raise ParameterError(f"phantom: workers: {options.workers} is not a number of processes")
    try:
        return PhantomSpec(
            images=images,
            patients=default if options.patients is None else options.patients,
            seed=options.seed,
            orientation=options.plane,
            segmentations=options.seg,
            correlation=Correlation(scanner_by_class=options.scanner_by_class),
        )
    except ValueError as error:
        raise ParameterError(f"phantom: {error}") from error


def _phantom(options: argparse.Namespace, console: Console) -> int:
    spec = _phantom_spec(options)
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("simulating", total=spec.total)
        folder = simulate_cohort(
            spec,
            project_file(options.out),
            report=lambda done, total: progress.update(task, completed=done),
            workers=options.workers,
        )
        progress.update(task, completed=spec.total)
    console.print(
        f"{spec.total} images of {spec.patients} patients: {short_path(folder)}", markup=False, soft_wrap=True
    )
    return 0


def _register_weights(options: argparse.Namespace, console: Console) -> int:
    from helpers.training import register_weights

    path = register_weights(Run(_run_folder(options.run)))
    console.print(f"Weights: {short_path(path)}; use them with training.weights: phantom", markup=False, soft_wrap=True)
    return 0


def _run_folder(name: str) -> Path:
    for folder in (project_file(f"runs/{name}"), project_file(name)):
        if (folder / PARAMS_FILE).is_file():
            return folder
    raise ArtefactError(f"no run called {name!r}: runs lie in runs/, each with a {PARAMS_FILE}")


if __name__ == "__main__":
    sys.exit(main())
