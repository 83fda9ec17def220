"""Opportunity density: predictions of it by cluster, and where a universe reads them."""

from prometheus.opportunity.csv_provider import ClusterScoreProvider, CsvLambdaClusterScoreProvider

__all__ = ["ClusterScoreProvider", "CsvLambdaClusterScoreProvider"]
