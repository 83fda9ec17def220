"""Run the day's whole chain, for one date or every date of a range."""

from __future__ import annotations

import sys
from typing import Any

import hydra

from prometheus.cli.command import guarded
from prometheus.cli.config import conf_dir
from prometheus.cli.daily import daily_from_config
from prometheus.cli.job import finish, run_job


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="daily")
def main(config: Any) -> None:
    """Run the job."""
    finish(guarded(lambda: daily_from_config(config)))


if __name__ == "__main__":
    sys.exit(run_job(main))
