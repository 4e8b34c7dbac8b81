"""Has the environment fetch the trained networks, as far as they are not there and undamaged."""

from __future__ import annotations

from .paths import Plan
from .process import InstallError, pip_settings, run, say


def fetch_weights(plan: Plan) -> None:
    """The trained networks."""
    say("Looking for the networks' weights …")
    official = ["--official"] if plan.official_weights else []
    fetch = [str(plan.home.python), "-I", "-m", "backend.weights.fetch", *official, str(plan.home.models)]
    try:
        run(fetch, **pip_settings(plan))
    except InstallError as error:
        if plan.offline is None:
            raise
        again = "make it anew with --prepare-offline."
        raise InstallError(f"{plan.offline} lacks weights or has damaged ones: {again}") from error
