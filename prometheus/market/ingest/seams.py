"""Where a file of prices meets what is held: the rows both have, what each has alone, and the factors between them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from prometheus.market.ingest.bases import FIELDS, MEASURED, TOLD, measure

ANCHORS = 10
"""Sessions on one side of a seam that say by which factor the bases differ."""

NAME, DAY = "instrument_id", "as_of_date"
FACTORS = [f"r_{f}" for f in MEASURED]
_ALWAYS = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Seam:
    """Where a file meets what is held.

    Attributes
    ----------
    live : polars.DataFrame
        Rows of the file that are not withdrawn.
    span : polars.DataFrame
        Per name their first and last day (``__first``, ``__last``) and number (``__rows``).
    versions : polars.DataFrame
        Held versions near it, ``__v`` counting them from 0 per row.
    common : polars.DataFrame
        Latest held row beside the file's (prefix TOLD) where both have one, numbered ``__o`` per name by day.
    new, missing : polars.DataFrame
        Rows of the file that are not held; latest held rows that are not in the file. Both with ``__p``, the number
        of common rows of their name before their day: the place of the seam they lie on.
    acting : tuple of str
        Names with corporate actions, whose close is as traded.
    """

    live: pl.DataFrame
    span: pl.DataFrame
    versions: pl.DataFrame
    common: pl.DataFrame
    new: pl.DataFrame
    missing: pl.DataFrame
    acting: tuple[str, ...]

    @classmethod
    def of(cls, rows: pl.DataFrame, near: pl.DataFrame, versions: pl.DataFrame, acting: Sequence[str]) -> Seam:
        """Compare a file with what is held.

        Parameters
        ----------
        rows : polars.DataFrame
            The file's rows, withdrawn ones too.
        near : polars.DataFrame
            NAME, DAY and MEASURED of the file's live rows, and of others of its base that are held by now.
        versions : polars.DataFrame
            Every version held near the file.
        acting : sequence of str
        """
        key = [NAME, DAY]
        live = rows.filter(~pl.col("withdrawn"))
        versions = versions.sort([*key, "known_at"]).with_columns(pl.int_range(pl.len()).over(key).alias("__v"))
        latest = versions.unique(key, keep="last", maintain_order=True).filter(~pl.col("withdrawn"))
        told = near.rename({f: TOLD + f for f in MEASURED})
        common = latest.join(told, on=key).sort(key).with_columns(pl.int_range(pl.len()).over(NAME).alias("__o"))
        return cls(
            live=live,
            span=live.group_by(NAME).agg(
                pl.col(DAY).min().alias("__first"), pl.col(DAY).max().alias("__last"), pl.len().alias("__rows")
            ),
            versions=versions,
            common=common,
            new=_placed(live.join(versions, on=key, how="anti"), common),
            missing=_placed(latest.join(rows, on=key, how="anti"), common),
            acting=tuple(acting),
        )

    @property
    def names(self) -> list[str]:
        """Names of the file."""
        return self.live[NAME].unique().sort().to_list()

    @property
    def strangers(self) -> pl.DataFrame:
        """New rows of names that have rows held nearby and none in common with the file."""
        near = self.missing.select(pl.col(NAME).unique())
        lonely = self.new.join(near, on=NAME, how="semi").join(self.common, on=NAME, how="anti")
        return lonely.filter(~pl.col(NAME).is_in(self.acting))

    def narrowed(self) -> Seam:
        """Restrict to names where anything was restated, now or at an earlier delivery."""
        same = [pl.col(f).eq_missing(pl.col(TOLD + f)) | pl.col(TOLD + f).is_null() for f in FIELDS]
        moved = self.common.filter(~pl.all_horizontal(same)).select(NAME)
        revised = self.versions.filter(pl.col("__v") > 0).select(NAME)
        concerned = pl.concat([moved, revised]).unique().join(self.common.select(NAME).unique(), on=NAME, how="semi")
        parts = {
            part: getattr(self, part).join(concerned, on=NAME, how="semi", maintain_order="left")
            for part in ("live", "span", "versions", "common", "new", "missing")
        }
        return Seam(**parts, acting=self.acting)

    def factors(self) -> pl.DataFrame:
        """Factors from the file's base to the base held, at each place (NAME, ``__p``), since each instant ``__at``.

        Places are those of new and missing rows, and both ends. The sessions that count are the last ANCHORS common
        ones before the place; at the start, the first ones.

        Returns
        -------
        polars.DataFrame
            NAME, ``__p``, ``__at``, FACTORS, ``slack``, ``doubt`` (see :func:`~.bases.measure`), and ``on_actions``
            where a close was restated whose name has corporate actions; in order of place and instant.
        """
        place = [NAME, "__p"]
        sizes = self.common.group_by(NAME).agg(pl.len().cast(pl.Int64).alias("__n"))
        ends = [sizes.select(NAME, p.cast(pl.Int64).alias("__p")) for p in (pl.lit(0), pl.col("__n"))]
        p, n = pl.col("__p"), pl.col("__n")
        first = pl.when(p > 0).then((p - ANCHORS).clip(0)).otherwise(0)
        after = pl.when(p > 0).then(p).otherwise(pl.min_horizontal(n, pl.lit(ANCHORS, pl.Int64)))
        anchors = (
            pl.concat([self.new.select(place), self.missing.select(place), *ends])
            .unique()
            .join(sizes, on=NAME)
            .with_columns(pl.int_ranges(first.cast(pl.Int64), after).alias("__o"))
            .explode("__o")
            .join(self.common.select(NAME, DAY, "__o", *(TOLD + f for f in MEASURED)), on=[NAME, "__o"])
        )
        seen = anchors.join(self.versions.select(NAME, DAY, "known_at", "__v", "withdrawn", *MEASURED), on=[NAME, DAY])
        revised = seen.filter(pl.col("__v") > 0).select(*place, pl.col("known_at").alias("__at")).unique()
        start = anchors.select(place).unique().with_columns(pl.lit(_ALWAYS).cast(revised["__at"].dtype).alias("__at"))
        by_then = pl.concat([start, revised]).join(seen, on=place)
        by_then = by_then.filter((pl.col("known_at") <= pl.col("__at")) | (pl.col("__v") == 0))
        session = [*place, "__at", DAY]
        pairs = by_then.sort([*session, "__v"]).unique(session, keep="last", maintain_order=True)
        out = measure(pairs.filter(~pl.col("withdrawn")), [*place, "__at"]).sort([*place, "__at"])
        acts = pl.col(NAME).is_in(self.acting)
        return out.with_columns(
            (acts & (pl.col("r_close") != 1)).alias("on_actions"),
            *(pl.when(acts).then(1.0).otherwise(f"r_{f}").alias(f"r_{f}") for f in ("close", "volume")),
        )


def _placed(rows: pl.DataFrame, common: pl.DataFrame) -> pl.DataFrame:
    before = common.select(NAME, DAY, (pl.col("__o") + 1).alias("__p")).sort(DAY)
    out = rows.sort(DAY, maintain_order=True).join_asof(
        before, on=DAY, by=NAME, strategy="backward", check_sortedness=False
    )
    return out.with_columns(pl.col("__p").fill_null(0).cast(pl.Int64))
