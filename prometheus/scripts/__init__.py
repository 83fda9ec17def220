"""The commands, one module each: ``python -m prometheus.scripts.NAME --flags``."""
