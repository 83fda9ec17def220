"""Stages of stability: fits, states, risk of change."""
