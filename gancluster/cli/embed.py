"""`gancluster embed RUN -o file.npz`: the features that stand for samples in a finished run, and a picture of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, RunName, RunsDir
from gancluster.cli.places import check_free

Output = Annotated[Path, typer.Option("--output", "-o", help="The .npz: features, clusters, and labels where known.")]
Name = Annotated[str | None, typer.Option("--dataset", help="Other samples: a name or path (default: the run's own).")]
Picture = Annotated[Path | None, typer.Option(help="The PNG (default: beside the .npz, under its name).")]
NoPicture = Annotated[bool, typer.Option("--no-picture", help="Draw none.")]


def embed(
    run: RunName,
    output: Output,
    dataset: Name = None,
    data_dir: DataDir = None,
    picture: Picture = None,
    no_picture: NoPicture = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write the features of samples, and draw them in the plane: two as they are, more by t-SNE."""
    from dataclasses import replace

    from gancluster import atomic
    from gancluster.data import catalogue
    from gancluster.data.batches import Batches
    from gancluster.errors import UserError
    from gancluster.report import figures
    from gancluster.report.planes import of_features
    from gancluster.runs.finding import find
    from gancluster.runs.training import assign, new_samples, own_samples, trained

    found, drawing = find(runs_dir, run), None if no_picture else picture or output.with_suffix(".png")
    if picture is not None and no_picture:
        raise UserError("--picture and --no-picture contradict each other: leave one out")
    _check_free(output, drawing)
    players, folder = trained(found), catalogue.data_folder(data_dir)
    samples = own_samples(found, folder) if dataset is None else new_samples(found, dataset, folder)
    clusters = assign(found, samples)
    features = players.features(Batches(replace(samples, pixel_range=found.request.pixel_range)))
    labels = samples.labels if samples.labels is not None and (samples.labels >= 0).any() else None
    arrays = {"features": features, "clusters": clusters} | ({} if labels is None else {"labels": labels})
    atomic.write_npz(output, arrays)
    typer.echo(f"{len(features)} samples, {features.shape[1]} features: {output}")
    if drawing is not None:
        figures.embedding_plane(of_features(features), clusters, drawing, labels, samples.label_names)
        typer.echo(drawing)


def _check_free(output: Path, drawing: Path | None) -> None:
    """Nothing is overwritten; told before anything is computed."""
    from gancluster.errors import UserError

    if output == drawing:
        raise UserError(f"{output} cannot be the .npz and its picture: let -o end in .npz")
    for path, option in ((output, "-o"), (drawing, "--picture")):
        if path is not None:
            check_free(path, option)
