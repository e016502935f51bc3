"""``detctl estimate``: its options and their help. What is done with them is in ``present``."""

from __future__ import annotations

import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from dataefficient.contract import ExitCode
from dataefficient.estimate.errors import EstimateError


@click.command("estimate", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("log")
@click.option("--time", "time_column", metavar="COLUMN", help="Column of the event time.")
@click.option(
    "--rows-in-order",
    is_flag=True,
    help="Instead of --time: the log has no time, and its rows lie in the order of it.",
)
@click.option(
    "--time-format",
    metavar="FORMAT",
    help="How the digits or the text of the time are read, as in strptime: %y%m%d%H, or '%d/%m/%Y %H:%M'. "
    "Default: what times, seconds since 1970 and days such as 20010131 are is found out.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    required=True,
    metavar="COLUMN[,COLUMN]",
    help="Column of the label, 0 or 1 (clicked or not). Of several, a row is positive where any of them is.",
)
@click.option(
    "--label-at-least",
    type=float,
    metavar="N",
    help="The label column is a number: positive from N on, such as a delay of 15.",
)
@click.option(
    "--label-equals",
    multiple=True,
    metavar="VALUE[,VALUE]",
    help="The label column holds values: positive are these, such as buy,cart.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="COLUMN[,COLUMN]",
    help="Columns that identify an event. Default: all but the label.",
)
@click.option(
    "--features",
    metavar="LIST",
    help="What the model may see: columns, parts of times such as hour(t), crosses such as a*b. Default: all "
    "columns that look usable, hour and weekday.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="COLUMN[,COLUMN]",
    help="Names of all columns of a text without a header, in its order. Those of Criteo's logs are known: "
    "label, I1 to I13, C1 to C26.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="COLUMN[,COLUMN]",
    help="Columns not to be used, such as those known only after the event.",
)
@click.option("--served-prediction", metavar="COLUMN", help="Column of the probability that was served.")
@click.option(
    "--minutes", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Time allowed."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=0.002,
    show_default=True,
    help="How much worse the log loss may become, as a fraction: 0.002 is 0.2 %.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write the page as one HTML file."
)
@click.option(
    "--write-resource",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a resource file for detctl run.",
)
@click.option("--workdir", type=click.Path(file_okay=False, path_type=Path), help="Keep working files here.")
@click.option(
    "--trainer",
    metavar="COMMAND",
    help="Another trainer that keeps to the contract. Default: the one installed.",
)
def estimate_command(  # noqa: PLR0917 - click passes them by name
    log: str,
    time_column: str | None,
    rows_in_order: bool,  # noqa: FBT001
    labels: tuple[str, ...],
    label_at_least: float | None,
    label_equals: tuple[str, ...],
    time_format: str | None,
    keys: tuple[str, ...],
    features: str | None,
    columns: tuple[str, ...],
    exclude: tuple[str, ...],
    served_prediction: str | None,
    minutes: float,
    tolerance: float,
    as_json: bool,  # noqa: FBT001
    html: Path | None,
    write_resource: Path | None,
    workdir: Path | None,
    trainer: str | None,
) -> None:
    """What could be saved on the data in LOG, at which cost in quality, and how sure that is.

    LOG is a file of events (Parquet, CSV, or one JSON object a line), a folder of such files or a pattern
    in quotes, with a time, a 0/1 label and columns known before the event. Criteo's logs, without a
    header, are known too. Nothing is installed and LOG is not changed. Small models are trained on this
    machine, on parts of the history and of the rows and at several sizes, and compared on the latest rows
    of LOG, which none of them has seen. The page says whether the history is long enough, what sampling
    and smaller models would save and cost at the upper bound, or that nothing can be saved or told.

    \b
    Example:
      detctl estimate clicks.parquet --time ts --label clicked --minutes 10 --html page.html
      detctl estimate train.txt --rows-in-order --label label     # Criteo's

    Exit codes: 0 a page was printed (also if nothing can be saved); 64 an option is wrong; 65 the log
    cannot be used; 130 interrupted, with a page of what was known.
    """
    if rows_in_order == (time_column is not None):
        raise EstimateError(
            "give either --time COLUMN, the column of the event time, or --rows-in-order where there is none "
            "and rows lie in the order of it",
            ExitCode.USER_ERROR,
        )
    if rows_in_order and time_format is not None:
        raise EstimateError(
            "--time-format: there is no time with --rows-in-order; leave it out", ExitCode.USER_ERROR
        )
    if label_at_least is not None and label_equals:
        raise EstimateError("give only one of --label-at-least and --label-equals", ExitCode.USER_ERROR)
    if not _list(labels):
        raise EstimateError("--label: no column is named", ExitCode.USER_ERROR)
    for path in (html, write_resource):
        if path is not None and not path.absolute().parent.is_dir():
            raise EstimateError(
                f"{path}: the folder {path.absolute().parent} does not exist", ExitCode.USER_ERROR
            )
    _needs_trainer_packages(trainer)
    # Only now: these import pyarrow, whose absence was just told in one line.
    present = import_module("dataefficient.estimate.present")
    present.estimate_and_show(
        present.Wishes(
            path=log,
            time=time_column,
            label=_list(labels),
            at_least=label_at_least,
            equals=_list(label_equals),
            time_format=time_format,
            key=_list(keys),
            features=features,
            columns=_list(columns),
            exclude=_list(exclude),
            served=served_prediction,
            minutes=minutes,
            tolerance=tolerance,
            as_json=as_json,
            html=html,
            resource=write_resource,
            workdir=workdir,
            trainer=tuple(shlex.split(trainer)) if trainer else (),
        )
    )


def _list(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v.strip() for value in values for v in value.split(",") if v.strip()))


def _needs_trainer_packages(trainer: str | None) -> None:
    missing = [name for name in ("pyarrow", *(() if trainer else ("torch",))) if find_spec(name) is None]
    if missing:
        raise EstimateError(
            f"{' and '.join(missing)} missing; install with: pip install 'data-efficient-training[trainer]'",
            ExitCode.USER_ERROR,
        )
