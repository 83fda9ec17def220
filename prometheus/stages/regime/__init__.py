"""Stages of regimes: fits, labels, transitions, risk of change."""
