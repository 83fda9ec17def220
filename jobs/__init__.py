"""What a person schedules: one thin Hydra job each."""
